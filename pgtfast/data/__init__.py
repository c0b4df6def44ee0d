"""Annotated people from dataset files."""

from .coco import read_coco_persons
from .people import People

__all__ = ["People", "read_coco_persons"]
