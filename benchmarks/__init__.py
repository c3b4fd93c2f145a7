"""What `make bench` runs: figures measured side by side in one run, since machines are noisy."""
