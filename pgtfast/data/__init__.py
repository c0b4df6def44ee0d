"""Annotated datasets as columns of people, and batches of them to learn from."""

from .batch import Batch
from .coco import read_coco_persons
from .people import People
from .sets import ImageSet, Role
from .supervision import JointMap, Supervision

__all__ = ["Batch", "ImageSet", "JointMap", "People", "Role", "Supervision", "read_coco_persons"]
