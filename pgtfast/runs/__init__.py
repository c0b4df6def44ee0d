"""What every run shares: its folder and lock, the parts of its store, the wish to stop, and child processes."""

from .folder import RunFolder
from .parts import Store, iter_people, iter_records, read_records
from .stop import Stop

__all__ = ["RunFolder", "Stop", "Store", "iter_people", "iter_records", "read_records"]
