"""The steps of `tools/build_free_body.py`, one module per noun."""
