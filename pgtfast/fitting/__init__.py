"""Bodies by optimisation: closed-form starts, the problem of a batch of people, its solver, fits from nothing and fits
from given bodies."""
