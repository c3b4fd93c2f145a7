"""Benchmarks of signing in."""
