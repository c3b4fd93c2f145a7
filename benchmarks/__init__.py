"""The benchmarks behind `make bench`. Everything compared is measured in the same run, because machines vary."""
