"""The roles of accounts. What each may do is in `access_rules`."""

ROLES = ("user", "admin", "sysadmin")
"""In ascending order: each role may do everything that the roles before it may."""
LOWEST_ROLE, HIGHEST_ROLE = ROLES[0], ROLES[-1]
