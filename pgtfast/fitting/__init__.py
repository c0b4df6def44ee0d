"""Bodies by optimisation: starts, the problem of a batch of people, and its solvers."""
