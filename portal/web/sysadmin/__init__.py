"""Pages for sysadmins."""
