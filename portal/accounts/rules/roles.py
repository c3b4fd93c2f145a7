"""What an account may do."""

ROLES = ("user", "admin", "sysadmin")
"""In ascending order: each role may do everything that the roles before it may."""
