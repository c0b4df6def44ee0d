"""Between pseudo-ground-truth formats: ``python -m pgtfast.convert SRC DST --to FORMAT``."""

from ._config import ConvertConfig, ConvertResult

__all__ = ["ConvertConfig", "ConvertResult", "convert"]


def convert(config: ConvertConfig) -> ConvertResult:
    """Convert a file and print what became of everybody; needs the extra `annotate`.

    Raises:
        PgtfastError: SRC cannot be read, DST exists or cannot be written, or nobody can be written so; the message
        names file, key and cure.
    """
    from ._run import run

    return run(config)
