"""From smplx-style keyword arguments to the one pose tensor that the ops take."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

_PARTS = {
    "smplh": (("body_pose", 21), ("left_hand_pose", 15), ("right_hand_pose", 15)),
    "smplx": (
        ("body_pose", 21),
        ("jaw_pose", 1),
        ("leye_pose", 1),
        ("reye_pose", 1),
        ("left_hand_pose", 15),
        ("right_hand_pose", 15),
    ),
    "mano": (("hand_pose", 15),),
}


@dataclass(frozen=True)
class PoseLayout:
    """Which keyword fills which joints, and how many shape coefficients there are.

    Attributes:
        parts: (keyword, joints) in the order of the tree, global orientation first.
        num_betas: betas.
        num_expression: expression coefficients.
        dtype: of all inputs.
        device: likewise.
        pose_mean: (J, 3) radians that rotation vectors are measured from, or None where all are measured from rest.
            Matrices always are.
    """

    parts: tuple[tuple[str, int], ...]
    num_betas: int
    num_expression: int
    dtype: torch.dtype
    device: torch.device
    pose_mean: Tensor | None = None

    @property
    def num_joints(self) -> int:
        return sum(count for _, count in self.parts)

    def assemble(
        self, betas: Tensor | None, expression: Tensor | None, transl: Tensor | None, poses: dict[str, Tensor | None]
    ) -> tuple[Tensor, Tensor | None, Tensor | None]:
        """Checks, completes and broadcasts the arguments of a body.

        Args:
            betas: (..., num_betas) or None.
            expression: (..., num_expression) or None.
            transl: (..., 3) metres or None.
            poses: keyword -> rotation vectors (..., 3 n) or (..., n, 3), or matrices (..., n, 3, 3); None for rest.

        Returns:
            pose (..., J, 3) or (..., J, 3, 3), shape (..., S) or None, transl (..., 3) or None, all of one batch shape.
        """
        given = {name: value for name, value in poses.items() if value is not None}
        extras = {"betas": betas, "expression": expression, "transl": transl}
        for name, value in (given | {name: value for name, value in extras.items() if value is not None}).items():
            self._check_kind(name, value)
        parts = self._parts_for(given)
        matrices, rank = _form(parts, given)
        placed = {name: _place(name, given[name], count, matrices, rank) for name, count in parts if name in given}
        tail = 3 if matrices else 1
        shape = self._shape(betas, expression)
        if transl is not None and transl.shape[-1:] != (3,):
            raise ValueError(f"transl: wanted (..., 3), got {tuple(transl.shape)}")
        batches = [value.shape[:-tail] for value in placed.values()]
        batches += [value.shape[:-1] for value in (shape, transl) if value is not None]
        batch = self._batch(batches, {**poses, **extras})
        blocks = [
            _spread(placed[name], batch, tail) if name in placed else self._rest(count, batch, matrices)
            for name, count in parts
        ]
        pose = torch.cat(blocks, dim=-tail)
        pose = pose if matrices else pose.unflatten(-1, (self.num_joints, 3))
        if self.pose_mean is not None and not matrices:
            pose = pose + self.pose_mean.to(pose)
        shape = None if shape is None else _spread(shape, batch, 1)
        return pose, shape, None if transl is None else _spread(transl, batch, 1)

    def _batch(self, batches: list[torch.Size], given: dict[str, Tensor | None]) -> torch.Size:
        """The batch shape that all broadcast to."""
        if not batches or all(one == batches[0] for one in batches):
            return batches[0] if batches else torch.Size()
        try:
            return torch.broadcast_shapes(*batches)
        except RuntimeError:
            shown = {name: tuple(value.shape) for name, value in given.items() if value is not None}
            raise ValueError(f"the leading batch shapes of the arguments do not broadcast: {shown}") from None

    def _rest(self, count: int, batch: torch.Size, matrices: bool) -> Tensor:
        if matrices:
            return torch.eye(3, dtype=self.dtype, device=self.device).expand(*batch, count, 3, 3)
        return torch.zeros(*batch, 3 * count, dtype=self.dtype, device=self.device)

    def _check_kind(self, name: str, value: Tensor) -> None:
        if not isinstance(value, Tensor):
            raise TypeError(f"{name}: wanted a torch.Tensor, got {type(value).__name__}; torch.as_tensor makes one")
        if value.dtype != self.dtype or value.device != self.device:
            raise ValueError(
                f"{name}: wanted {self.dtype} on {self.device} like the body, got {value.dtype} on {value.device}; "
                "move one of them: body.to(device=..., dtype=...)"
            )

    def _parts_for(self, given: dict[str, Tensor]) -> tuple[tuple[str, int], ...]:
        """The body's parts; `body_pose` alone may also hold every joint but the root."""
        names = [name for name, _ in self.parts]
        whole = self.num_joints - 1
        body = given.get("body_pose")
        if body is not None and set(given) <= {"global_orient", "body_pose"} and _holds(body, whole):
            return (("global_orient", 1), ("body_pose", whole))
        for name in given:
            if name not in names:
                raise TypeError(f"{name}: this body takes {', '.join(names)}")
        return self.parts

    def _shape(self, betas: Tensor | None, expression: Tensor | None) -> Tensor | None:
        for name, value, count, cure in (
            (
                "betas",
                betas,
                self.num_betas,
                "load_body(..., num_betas=...) keeps another number; a shaped body takes none",
            ),
            ("expression", expression, self.num_expression, "load_body(..., num_expression=...) keeps another number"),
        ):
            if value is not None and (value.ndim < 1 or value.shape[-1] != count):
                raise ValueError(f"{name}: wanted (..., {count}), got {tuple(value.shape)}; {cure}")
        if betas is None and expression is None:
            return None
        if not self.num_expression:
            return betas
        zeros = torch.zeros((), dtype=self.dtype, device=self.device)
        betas = zeros.expand(self.num_betas) if betas is None else betas
        expression = zeros.expand(self.num_expression) if expression is None else expression
        batch = torch.broadcast_shapes(betas.shape[:-1], expression.shape[:-1])
        return torch.cat([betas.expand(*batch, -1), expression.expand(*batch, -1)], -1)


def layout_of(
    kind: str,
    joints: int,
    num_betas: int,
    num_expression: int,
    dtype: torch.dtype,
    device: torch.device,
    hands_mean: Mapping[str, np.ndarray],
) -> PoseLayout:
    """The layout of a body kind; trees without parts of their own are global_orient and body_pose.

    Args:
        kind: of the body.
        joints: of its tree.
        num_betas: its shape coefficients.
        num_expression: its expression coefficients.
        dtype: of all inputs.
        device: likewise.
        hands_mean: keyword of each hand -> (45,) radians that its rotation vectors are measured from; empty for flat
            hands.
    """
    rest = _PARTS.get(kind, (("body_pose", joints - 1),))
    if sum(count for _, count in rest) != joints - 1:
        rest = (("body_pose", joints - 1),)
    parts = (("global_orient", 1), *(part for part in rest if part[1]))
    pose_mean = None
    if hands_mean:
        blocks = [hands_mean.get(name, np.zeros(3 * count)) for name, count in parts]
        pose_mean = torch.tensor(np.concatenate(blocks).reshape(-1, 3), dtype=dtype, device=device)
    return PoseLayout(parts, num_betas, num_expression, dtype, device, pose_mean)


def _holds(value: Tensor, count: int) -> bool:
    shape = tuple(value.shape)
    return shape[-1:] == (3 * count,) or shape[-2:] == (count, 3) or shape[-3:] == (count, 3, 3)


def _form(parts: tuple[tuple[str, int], ...], given: dict[str, Tensor]) -> tuple[bool, int | None]:
    """Whether the pose is given in matrices, and the batch rank of its first part of several joints.

    A single joint alone cannot tell a matrix from a batch of three vectors, so parts of several joints decide; without
    one, (..., 1, 3, 3) is a matrix.
    """
    for name, count in parts:
        if count == 1 or name not in given:
            continue
        shape = tuple(given[name].shape)
        if shape[-1:] == (3 * count,):
            return False, len(shape) - 1
        if shape[-2:] == (count, 3):
            return False, len(shape) - 2
        if shape[-3:] == (count, 3, 3):
            return True, len(shape) - 3
        raise ValueError(
            f"{name}: wanted (..., {3 * count}) or (..., {count}, 3) rotation vectors or (..., {count}, 3, 3) "
            f"matrices, "
            f"got {shape}"
        )
    return any(tuple(value.shape[-3:]) == (1, 3, 3) for value in given.values()), None


def _place(name: str, value: Tensor, count: int, matrices: bool, rank: int | None) -> Tensor:
    """One part as (..., 3 count) or (..., count, 3, 3)."""
    shape = tuple(value.shape)
    if matrices:
        if count == 1 and shape[-2:] == (3, 3) and rank == len(shape) - 2:
            return value.unsqueeze(-3)
        if shape[-3:] == (count, 3, 3):
            return value
    elif count == 1 and shape[-1:] == (3,):
        return value.squeeze(-2) if rank == len(shape) - 2 and shape[-2] == 1 else value
    elif shape[-1:] == (3 * count,):
        return value
    elif shape[-2:] == (count, 3):
        return value.flatten(-2)
    wanted = f"(..., {count}, 3, 3) matrices" if matrices else f"(..., {3 * count}) rotation vectors"
    raise ValueError(
        f"{name}: wanted {wanted} like the other pose arguments, got {shape}; "
        "give all in one form, ops.rotvec_to_matrix and ops.matrix_to_rotvec convert"
    )


def _spread(value: Tensor, batch: torch.Size, tail: int) -> Tensor:
    """Expanded to the batch shape, untouched where it has it."""
    return value if value.shape[:-tail] == batch else value.expand(*batch, *value.shape[-tail:])
