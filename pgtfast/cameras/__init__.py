"""One camera type; conversions between weak perspective, crop, full image and world."""

from pgtfast.cameras._bodies import PlacedBody, body_to_camera, body_to_world, flip_body
from pgtfast.cameras._camera import Camera, PlacedCamera

__all__ = ["Camera", "PlacedBody", "PlacedCamera", "body_to_camera", "body_to_world", "flip_body"]
