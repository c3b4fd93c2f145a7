"""Everything the simulator stores: in memory for speed, and in one SQLite file."""
