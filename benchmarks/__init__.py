"""Timings, run by hand; results with their machine and command are kept in `benchmarks/results/`. Never part of the tests."""
