"""Backbones and networks; plain modules of PyTorch."""

from .annotator import Annotator, NetworkConfig, Prediction
from .bodies import Bodies, full_image_camera, place
from .importers import ImportReport, import_weights
from .pose_resnet import PoseResNet, heatmap_keypoints
from .resnet import ResNet

__all__ = [
    "Annotator",
    "Bodies",
    "ImportReport",
    "NetworkConfig",
    "PoseResNet",
    "Prediction",
    "ResNet",
    "full_image_camera",
    "heatmap_keypoints",
    "import_weights",
    "place",
]
