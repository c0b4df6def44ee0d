"""Trained networks as engine files."""
