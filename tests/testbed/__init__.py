"""A real cluster on this machine, for tests, demo, benchmarks and people."""
