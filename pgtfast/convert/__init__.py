"""Between pseudo-ground-truth formats: ``python -m pgtfast.convert SRC DST --to FORMAT``."""

from .config import ConvertConfig, ConvertResult
from .run import convert

__all__ = ["ConvertConfig", "ConvertResult", "convert"]
