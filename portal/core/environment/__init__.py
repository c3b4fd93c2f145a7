"""Where the settings of a process come from, besides its environment variables."""
