"""Run a trained network: one small interface, engines chosen by name."""

from ._file import EngineFile, read_engine_file, write_engine_file
from ._open import ENGINES, open_engine
from .engine import Engine

__all__ = ["ENGINES", "Engine", "EngineFile", "open_engine", "read_engine_file", "write_engine_file"]
