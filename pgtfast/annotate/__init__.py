"""Pseudo-GTs of whole datasets by a trained annotator."""
