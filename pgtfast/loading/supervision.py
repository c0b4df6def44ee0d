"""Where the joints of each dataset go among the landmarks that a network is supervised by."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from .. import skeletons
from ..body import BodyModel, LandmarkPlan

_PELVIS, _HIPS = "pelvis", ("l_hip", "r_hip")


class JointMap(NamedTuple):
    """How the k joints of one dataset are laid among the K rows of a :class:`Supervision`."""

    source: np.ndarray
    """(n,) int64 joints of the dataset."""
    rows: np.ndarray
    """(n,) int64 row of each."""
    pelvis: tuple[int, int, int] | None
    """Row of a pelvis that the dataset lacks, and its two hips, whose middle it is (Pose2Pose's rule for COCO); None
    where not needed.
    """
    root: int
    """Row of the dataset's pelvis, -1 where it has none."""
    position: np.ndarray
    """(P,) int64 row of each joint of the position set, -1 where the dataset lacks it."""


@dataclass(frozen=True)
class Supervision:
    """The K landmarks of the 2D and 3D losses: the joint sets of `sets`, one after the other.

    A dataset whose own set is among them is compared with the body's landmarks of that very set. Any other is matched
    by joint name with the first set, as Pose2Pose does with its 33 joints (CVPRW 2022; COCO's hips then are held
    against SMPL's hip joints, which lie elsewhere).

    Attributes:
        sets: names of joint sets that the body has landmarks for; the first must hold all joints of `position_set`.
        position_set: the joints that the network also finds in the image itself.
    """

    sets: tuple[str, ...]
    position_set: str = "p2p25"

    def __len__(self) -> int:
        return len(self.names)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """K names, "set/joint"."""
        return tuple(f"{name}/{joint}" for name in self.sets for joint in skeletons.get(name).joints)

    @cached_property
    def flip_permutation(self) -> np.ndarray:
        """(K,) int64: ``mirrored = points[:, permutation]``."""
        parts, start = [], 0
        for name in self.sets:
            order = np.array(skeletons.get(name).flip_permutation)
            parts.append(order + start)
            start += len(order)
        return np.concatenate(parts)

    @cached_property
    def base_position(self) -> np.ndarray:
        """(P,) int64 row, in the first set, of each joint of the position set."""
        return self._position(self.sets[0], 0)

    @cached_property
    def base_root(self) -> int:
        """Row of the first set's pelvis."""
        return skeletons.get(self.sets[0]).index[_PELVIS]

    def plan(self, body: BodyModel) -> LandmarkPlan:
        """The K landmarks of a body."""
        return body.landmarks(self.sets)

    def joint_map(self, landmark_set: str) -> JointMap:
        """Where the joints of a dataset go."""
        if landmark_set in self.sets:
            start = sum(len(skeletons.get(name)) for name in self.sets[: self.sets.index(landmark_set)])
            index = skeletons.get(landmark_set).index
            each = np.arange(len(index))
            root = start + index[_PELVIS] if _PELVIS in index else -1
            return JointMap(each, start + each, None, root, self._position(landmark_set, start))
        theirs, base = skeletons.get(landmark_set).index, skeletons.get(self.sets[0]).index
        shared = [(at, base[key]) for key, at in theirs.items() if key in base]
        pelvis = None
        if _PELVIS not in theirs and all(hip in theirs for hip in _HIPS):
            pelvis = (base[_PELVIS], theirs[_HIPS[0]], theirs[_HIPS[1]])
        source, rows = (np.array(part, dtype=np.int64) for part in zip(*shared, strict=True))
        held = {int(row) for row in rows} | ({pelvis[0]} if pelvis else set())
        position = np.where(np.isin(self.base_position, sorted(held)), self.base_position, -1)
        return JointMap(source, rows, pelvis, base[_PELVIS] if _PELVIS in theirs or pelvis else -1, position)

    def spread(self, points: np.ndarray, weights: np.ndarray, landmark_set: str) -> tuple[np.ndarray, np.ndarray]:
        """Lay a dataset's joints among the rows.

        Args:
            points: (N, k, D); values where the weight is 0 do not count and may be NaN.
            weights: (N, k), 0 where unknown.
            landmark_set: the dataset's set.

        Returns:
            (N, K, D) float32 points, zero where unknown, and (N, K) float32 weights.
        """
        where = self.joint_map(landmark_set)
        out = np.zeros((len(points), len(self), points.shape[-1]), np.float32)
        out_weights = np.zeros(out.shape[:2], np.float32)
        known = np.where(weights[..., None] > 0, points, 0)
        out[:, where.rows], out_weights[:, where.rows] = known[:, where.source], weights[:, where.source]
        if where.pelvis is not None:
            row, left, right = where.pelvis
            both = np.minimum(weights[:, left], weights[:, right]) * ((weights[:, left] > 0) & (weights[:, right] > 0))
            out[:, row] = np.where(both[:, None] > 0, (known[:, left] + known[:, right]) / 2, 0)
            out_weights[:, row] = both
        return out, out_weights

    def _position(self, name: str, start: int) -> np.ndarray:
        index = skeletons.get(name).index
        keys = skeletons.get(self.position_set).index
        return np.array([start + index[key] if key in index else -1 for key in keys], dtype=np.int64)
