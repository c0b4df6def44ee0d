"""The one table of people: who is in which image, what is known of them, and the bodies found for them."""

from .layout import LAYOUTS, BodyLayout, layout_of
from .names import gender_of, person_ids
from .reason import Reason, Skip
from .sets import ImageSet, Role
from .table import People, empty_people

__all__ = [
    "LAYOUTS",
    "BodyLayout",
    "ImageSet",
    "People",
    "Reason",
    "Role",
    "Skip",
    "empty_people",
    "gender_of",
    "layout_of",
    "person_ids",
]
