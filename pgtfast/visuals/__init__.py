"""Pictures of fitted bodies, rendered without a display."""

from .faces import FaceRenderer
from .overlay import draw_keypoints, render_overlay
from .render import render_meshes
from .sheet import contact_sheet

__all__ = ["FaceRenderer", "contact_sheet", "draw_keypoints", "render_meshes", "render_overlay"]
