"""The kinds of checks: a module for each, which defines a class named CHECK."""
