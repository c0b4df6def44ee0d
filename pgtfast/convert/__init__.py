"""Between pseudo-ground-truth formats: ``python -m pgtfast.convert SRC DST --to FORMAT``."""
