"""Readers of annotated data sets, one file each: what they hold becomes :class:`pgtfast.people.People`."""

from .coco import read_coco_persons

__all__ = ["read_coco_persons"]
