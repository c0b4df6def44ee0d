"""Backbones and networks; plain modules of PyTorch."""

from .annotator import Annotator, NetworkConfig, Prediction
from .backbones import ResNetConfig, ViTConfig
from .bodies import Bodies, full_image_camera, place
from .estimator import Estimator, EstimatorConfig, register
from .importers import ImportReport, import_weights
from .losses import BodyLoss, LossTargets, LossUnits, LossWeights
from .pose_resnet import PoseResNet, heatmap_keypoints
from .resnet import ResNet
from .vit import ViT

__all__ = [
    "Annotator",
    "Bodies",
    "BodyLoss",
    "Estimator",
    "EstimatorConfig",
    "ImportReport",
    "LossTargets",
    "LossUnits",
    "LossWeights",
    "NetworkConfig",
    "PoseResNet",
    "Prediction",
    "ResNet",
    "ResNetConfig",
    "ViT",
    "ViTConfig",
    "full_image_camera",
    "heatmap_keypoints",
    "import_weights",
    "place",
    "register",
]
