"""Bytes to values and back, safely: nothing in a file is ever executed."""
