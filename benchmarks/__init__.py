"""Timings, run by hand and never by the tests; `benchmarks/results/` keeps results with their machine and command."""
