"""The parameters of each body model: their names, in the kinematic order of its joints, and how many numbers each
has.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType

from .._errors import PgtfastError

HANDS = ("left_hand_pose", "right_hand_pose", "hand_pose")
"""Rotations that a file may measure from a flat hand or from the model's mean hand."""


@dataclass(frozen=True, kw_only=True)
class BodyLayout:
    """Widths of one body model's parameters; names are the keywords of `smplx`.

    Convention:
        Rotation vectors in radians, the root first, then the parts in the order of the model's joints.
    """

    kind: str
    """Name of the model, as `BodyModel.kind` says it."""
    rotations: Mapping[str, int]
    """Name -> numbers of each group of rotation vectors, in kinematic order."""
    betas: int = 10
    """Shape coefficients that the field's files hold; a file may hold others."""
    expression: int = 0
    """Coefficients of the face, 0 where the model has none."""

    @cached_property
    def num_joints(self) -> int:
        """Joints of the kinematic tree, the root included."""
        return self.pose_size // 3

    @cached_property
    def pose_size(self) -> int:
        """Numbers of all rotation vectors together."""
        return sum(self.rotations.values())

    @cached_property
    def slices(self) -> dict[str, slice]:
        """Name -> the place of its rotation vectors in the whole pose."""
        found, start = {}, 0
        for name, size in self.rotations.items():
            found[name] = slice(start, start + size)
            start += size
        return found

    @cached_property
    def parameters(self) -> dict[str, int]:
        """Name -> width of every parameter: rotations, shape, face, and translation in metres."""
        face = {"expression": self.expression} if self.expression else {}
        return {**self.rotations, "betas": self.betas, **face, "transl": 3}

    @property
    def body_joints(self) -> int:
        """Joints of `body_pose`: all but the root, hands and face."""
        return self.rotations.get("body_pose", 0) // 3

    @property
    def has_hands(self) -> bool:
        """Whether the fingers have rotations of their own."""
        return any(name in self.rotations for name in HANDS)


def _layout(kind: str, rotations: dict[str, int], **others: int) -> BodyLayout:
    return BodyLayout(kind=kind, rotations=MappingProxyType(rotations), **others)


_ROOT, _TWO_HANDS = {"global_orient": 3}, {"left_hand_pose": 45, "right_hand_pose": 45}
_FACE = {"jaw_pose": 3, "leye_pose": 3, "reye_pose": 3}

LAYOUTS: Mapping[str, BodyLayout] = MappingProxyType(
    {
        "smpl": _layout("smpl", {**_ROOT, "body_pose": 69}),
        "free": _layout("free", {**_ROOT, "body_pose": 69}),
        "smplh": _layout("smplh", {**_ROOT, "body_pose": 63, **_TWO_HANDS}),
        "smplx": _layout("smplx", {**_ROOT, "body_pose": 63, **_FACE, **_TWO_HANDS}, expression=10),
        "mano": _layout("mano", {**_ROOT, "hand_pose": 45}),
    }
)
"""The body models by kind. SMPL's two hand joints are among the 23 of its body pose."""

PARAMETERS: Mapping[str, int] = MappingProxyType(
    {name: max(x.parameters.get(name, 0) for x in LAYOUTS.values()) for x in LAYOUTS.values() for name in x.parameters}
)
"""Every parameter that some model has, and its greatest width."""


def layout_of(kind: str) -> BodyLayout:
    """The layout of a body model.

    Raises:
        PgtfastError: the model is not known.
    """
    if kind not in LAYOUTS:
        raise PgtfastError(f"body model {kind!r} is not known; known are {', '.join(LAYOUTS)}")
    return LAYOUTS[kind]
