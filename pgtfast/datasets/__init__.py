"""Annotated data sets, one file each: what they hold becomes :class:`pgtfast.people.People`."""

from .coco import read_coco_persons
from .dataset import Dataset, Found, Search
from .opening import open_dataset
from .registry import DATASETS, register, unregister

__all__ = ["DATASETS", "Dataset", "Found", "Search", "open_dataset", "read_coco_persons", "register", "unregister"]
