"""The shell's front door: the same actions as the pages, for cron, scripts and tests."""
