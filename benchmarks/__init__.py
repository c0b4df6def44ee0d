"""Suites beside those of `python -m pgtfast.bench`, run from the repository: `python -m benchmarks.NAME`."""
