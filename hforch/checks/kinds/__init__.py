"""The kinds of checks. Each is a module that assigns its Check subclass to CHECK."""
