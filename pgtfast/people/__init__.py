"""The one table of people: who is in which image, what is known of them, and the bodies found for them."""

from .layout import LAYOUTS, BodyLayout, layout_of
from .reason import Reason, Skip
from .sets import ImageSet, Role
from .table import People, empty_people

__all__ = ["LAYOUTS", "BodyLayout", "ImageSet", "People", "Reason", "Role", "Skip", "empty_people", "layout_of"]
