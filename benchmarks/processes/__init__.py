"""The processes that the benchmarks measure, started by `benchmarks.process_group`."""
