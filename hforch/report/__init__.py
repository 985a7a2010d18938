"""What people see of a run: the terminal now."""
