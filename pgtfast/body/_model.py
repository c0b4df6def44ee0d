"""The body model: arrays, the terms made of them, and validation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from pgtfast import ops
from pgtfast.body import _landmarks, _moments
from pgtfast.body._arrays import BodyArrays, Regressor, Source
from pgtfast.body._find import find_body
from pgtfast.body._io import read_body
from pgtfast.body._landmarks import LandmarkPlan
from pgtfast.body._package import read_smplx
from pgtfast.body._pose import PoseLayout, layout_of
from pgtfast.body._sets import kinematic
from pgtfast.reference import SkinTerms

_CPU = torch.device("cpu")


class BodyOutput(NamedTuple):
    """What a body returns: vertices (..., V, 3) and kinematic joints (..., J, 3), metres."""

    vertices: Tensor
    joints: Tensor

    def __repr__(self) -> str:
        return f"BodyOutput(vertices={tuple(self.vertices.shape)}, joints={tuple(self.joints.shape)})"


@dataclass(frozen=True, eq=False, repr=False)
class BodyModel:
    """A skinned body, immutable. `to` returns a copy, as a tensor's does.

    It is no `torch.nn.Module` on purpose: a network that holds one does not write licensed body data into its
    checkpoints.

    Attributes:
        arrays: float64 arrays of the file.
        device: where inputs and outputs live.
        dtype: of inputs and outputs.
        flat_hand_mean: whether rotation vectors of the hands are measured from a flat hand; False: from the model's
            mean hand, as in
            `smplx`. Matrices are always measured from a flat hand.
    """

    arrays: BodyArrays
    device: torch.device = _CPU
    dtype: torch.dtype = torch.float32
    flat_hand_mean: bool = True

    def __post_init__(self) -> None:
        if not self.flat_hand_mean and not self.arrays.hands_mean:
            raise ValueError(
                f"flat_hand_mean=False: {self.source.file} has no mean hand (hands_meanl, hands_meanr or hands_mean)"
            )

    @property
    def num_joints(self) -> int:
        return len(self.arrays.parents)

    @property
    def num_vertices(self) -> int:
        return len(self.arrays.v_template)

    @property
    def num_betas(self) -> int:
        return self.arrays.num_betas

    @property
    def num_expression(self) -> int:
        return self.arrays.num_expression

    @property
    def faces(self) -> np.ndarray:
        """(F, 3) int64, read-only."""
        return self.arrays.faces

    @property
    def joint_names(self) -> tuple[str, ...]:
        return self.arrays.joint_names

    @property
    def kind(self) -> str:
        """ "smpl", "smplh", "smplx", "mano", "free" or "other"."""
        return self.arrays.kind

    @property
    def gender(self) -> str:
        """ "neutral", "male", "female" or "unknown"."""
        return self.arrays.gender

    @property
    def source(self) -> Source:
        """File and sha256."""
        return self.arrays.source

    @property
    def regressors(self) -> dict[str, Regressor]:
        """Landmark sets that the file itself holds."""
        return self.arrays.regressors

    @property
    def hands_mean(self) -> Mapping[str, np.ndarray]:
        """Keyword of each hand -> (45,) rotation vectors of the mean hand, radians; empty where the file has none."""
        return self.arrays.hands_mean

    @property
    def landmark_sets(self) -> tuple[str, ...]:
        """Names that `landmarks` knows on this body."""
        return _landmarks.known_sets(self.arrays)

    @cached_property
    def parents(self) -> Tensor:
        """(J,) int32 on the CPU, root -1."""
        return torch.tensor(self.arrays.parents)

    @cached_property
    def terms(self) -> SkinTerms:
        """Constants for `ops.vertices`."""
        return _moments.skin_terms(self.arrays).to(device=self.device, dtype=self.dtype)

    @cached_property
    def joints_plan(self) -> LandmarkPlan:
        """The kinematic joints as a landmark plan."""
        return self.landmarks(kinematic(self.arrays))

    @cached_property
    def layout(self) -> PoseLayout:
        """How the keywords of a call become one pose tensor."""
        arrays = self.arrays
        mean = {} if self.flat_hand_mean else arrays.hands_mean
        return layout_of(
            arrays.kind, self.num_joints, arrays.num_betas, arrays.num_expression, self.dtype, self.device, mean
        )

    def __call__(
        self,
        *,
        global_orient: Tensor | None = None,
        body_pose: Tensor | None = None,
        betas: Tensor | None = None,
        transl: Tensor | None = None,
        expression: Tensor | None = None,
        **hands_and_face: Tensor | None,
    ) -> BodyOutput:
        """Poses the body. What is not given is zero (rest); batch shapes broadcast.

        Args:
            global_orient: (..., 3) rotation vector, or (..., 1, 3, 3).
            body_pose: (..., 3 n) or (..., n, 3) rotation vectors, or (..., n, 3, 3) matrices, for the n joints after
                the root (23 in SMPL). Radians.
            betas: (..., num_betas).
            transl: (..., 3) metres.
            expression: (..., num_expression), SMPL-X.
            hands_and_face: left_hand_pose, right_hand_pose (SMPL-H, SMPL-X; 15 joints each, zero is a flat hand, or the
                mean hand where `flat_hand_mean` is False), jaw_pose,
                leye_pose, reye_pose (SMPL-X), hand_pose (MANO); forms as of body_pose.

        Returns:
            BodyOutput: vertices (..., V, 3) and kinematic joints (..., J, 3), metres.
        """
        poses = {"global_orient": global_orient, "body_pose": body_pose, **hands_and_face}
        pose, shape, transl = self.layout.assemble(betas, expression, transl, poses)
        return BodyOutput(
            ops.vertices(pose, shape, transl, self.terms), ops.landmarks(pose, shape, transl, self.joints_plan.terms)
        )

    def landmarks(self, spec: Any, *, names: Sequence[str] | None = None) -> LandmarkPlan:
        """Plans a landmark set: afterwards it costs no mesh.

        Args:
            spec: name of a set (`landmark_sets`), or a tuple of names, whose sets are joined ("set/joint"); path of a
                (K, V) regressor (.npy, .npz, .pkl); a (K, V) array, tensor or
                scipy sparse matrix; a mapping name -> vertex; a sequence of vertices.
            names: K names in place of the default ones.
        """
        regressor = _landmarks.regressor_of(self.arrays, spec, names)
        terms = _moments.landmark_terms(self.arrays, regressor).to(device=self.device, dtype=self.dtype)
        excess = regressor.row_sums() - 1
        row_excess = None
        if np.abs(excess).max() > 1e-6:
            row_excess = torch.tensor(excess, device=self.device, dtype=self.dtype)
        return LandmarkPlan(regressor.names, terms, self.layout, row_excess)

    def shaped(self, betas: Tensor, expression: Tensor | None = None) -> BodyModel:
        """The body of one person: shape folded in once, so that each pose costs less.

        Args:
            betas: (num_betas,), taken as a constant.
            expression: (num_expression,), likewise.

        Returns:
            A body that takes no betas.
        """
        for name, value in (("betas", betas), ("expression", expression)):
            if value is not None and value.ndim != 1:
                raise ValueError(f"{name}: wanted one shape (S,), got {tuple(value.shape)}; call shaped once a person")
        _, shape, _ = self.layout.assemble(betas, expression, None, {})
        coefficients = np.zeros(0) if shape is None else shape.detach().cpu().double().numpy()
        return replace(self, arrays=_moments.fold_shape(self.arrays, coefficients))

    def to(self, device: torch.device | str | None = None, dtype: torch.dtype | None = None) -> BodyModel:
        """A copy on another device or of another dtype; itself where both are its own."""
        device = self.device if device is None else torch.empty(0, device=device).device
        dtype = dtype or self.dtype
        return self if (device, dtype) == (self.device, self.dtype) else replace(self, device=device, dtype=dtype)

    def __repr__(self) -> str:
        return (
            f"BodyModel({self.kind}, {self.gender}, joints={self.num_joints}, vertices={self.num_vertices}, "
            f"betas={self.num_betas}, {self.dtype}, {self.device}, file={self.source.file!r})"
        )


def load_body(
    name_or_path: str | Path | Any,
    *,
    num_betas: int | None = None,
    num_expression: int | None = None,
    gender: str | None = None,
    flat_hand_mean: bool = True,
) -> BodyModel:
    """Loads a body. No file is ever executed.

    Args:
        name_or_path: "free" or "free-full" (shipped with pgtfast); a path to an official SMPL, SMPL-H, SMPL-X or MANO
            file
            (.pkl as downloaded, .npz); or a name such as "smpl-neutral", looked for in the folders of the environment
            variable PGTFAST_BODY_MODELS; or a model object of the `smplx` package, as of :func:`from_smplx`.
        num_betas: shape coefficients to keep; None keeps ten.
        num_expression: SMPL-X's expression coefficients to keep; None keeps ten.
        gender: "neutral", "male" or "female"; None takes it from the file name.
        flat_hand_mean: False measures rotation vectors of the hands from the file's mean hand.

    Returns:
        BodyModel on the CPU, float32.
    """
    if not isinstance(name_or_path, str | Path):
        if (num_betas, num_expression, gender, flat_hand_mean) != (None, None, None, True):
            raise ValueError(
                "a model object has its own num_betas, num_expression, gender and flat_hand_mean; give none"
            )
        return from_smplx(name_or_path)
    path = find_body(name_or_path, gender)
    arrays = read_body(path, num_betas=num_betas, num_expression=num_expression, gender=gender)
    return BodyModel(arrays, flat_hand_mean=flat_hand_mean)


def from_smplx(model: Any) -> BodyModel:
    """Take the body of a model object of the `smplx` package; it takes the same keywords and gives the same vertices.

    Args:
        model: an `smplx` SMPL, SMPLH, SMPLX or MANO, or one of their layers. It is read by its attributes; `smplx`
            itself is not needed.

    Convention:
        With `flat_hand_mean=False` rotation vectors of the hands are measured from the model's mean hand, as they are
        by `model`; its layers,
        and rotation matrices, measure from a flat hand.
        `body.landmarks("smplx")` gives `model(...).joints` in the same order.

    Returns:
        BodyModel on the CPU, float32.

    Raises:
        TypeError: not such a model.
        ValueError: it takes principal components for the hands, or points of the face contour, which move over the
        mesh.
    """
    arrays, flat_hand_mean = read_smplx(model)
    return BodyModel(arrays, flat_hand_mean=flat_hand_mean)
