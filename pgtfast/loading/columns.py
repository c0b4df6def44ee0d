"""What is known about people, laid out in the fixed columns of a :class:`Batch`, a batch at a time."""

from __future__ import annotations

import numpy as np

from .. import skeletons
from .._errors import PgtfastError
from ..images.crops import person_boxes
from ..people.layout import layout_of
from ..people.sets import ImageSet
from ..people.table import People
from .supervision import Supervision

BETAS = 10
"""Shape coefficients of a batch."""
BETA_LIMIT = 3.0
"""A body with any |beta| above this is taken as the mean shape (Pose2Pose's rule: such shapes come from fits gone
wrong).
"""
_CHUNK = 1 << 16


class PersonColumns:
    """The supervision of the people of one set, spread over the columns of a :class:`Batch` when a batch asks for it.

    Args:
        image_set: the people.
        supervision: the landmarks of the losses.
        body_kind: what the network's body parameters are of ("smpl", "free"); None leaves all body parameters out.
        gender: of the network's body file.

    Raises:
        PgtfastError: the set's landmark set is unknown or shares no joint with `supervision`, or its body parameters
            are of another body.
    """

    def __init__(
        self, image_set: ImageSet, supervision: Supervision, *, body_kind: str | None, gender: str = "neutral"
    ) -> None:
        people = image_set.people
        self.people, self.supervision, self.gender = people, supervision, gender
        self.joints_3d = image_set.use_3d and people.joints_3d is not None
        self.body = body_kind is not None and image_set.use_3d and people.body_model is not None
        self.parameters = people.body if self.body else {}
        self.transl = "transl" in self.parameters
        self.intrinsics = bool(np.isfinite(people.focal).any())
        self.joints = layout_of(body_kind or people.body_model or "smpl").num_joints
        _check_landmarks(people, supervision)
        if self.parameters:
            _check_body(people, str(body_kind))
        self.map = supervision.joint_map(people.landmark_set)

    def __call__(self, rows: np.ndarray) -> dict[str, np.ndarray]:
        """The columns of some people as :class:`Batch` has them: keypoints, joints_3d, root, position_row, pose,
        has_pose, betas, has_betas, transl, intrinsics."""
        people, count, landmarks = self.people, len(rows), len(self.supervision)
        points = people.keypoints[rows]
        spread, weights = self.supervision.spread(points[..., :2], points[..., 2], people.landmark_set)
        keypoints = np.concatenate([spread, weights[..., None]], -1)
        joints = np.zeros((count, landmarks, 4), np.float32)
        root = np.full(count, -1, np.int64)
        if self.joints_3d and people.joints_3d is not None:
            given = people.joints_3d[rows]
            known = np.isfinite(given).all(-1)
            spread, weights = self.supervision.spread(given, known.astype(np.float32), people.landmark_set)
            joints[..., :3], joints[..., 3] = spread, weights
            if self.map.root >= 0:
                root[weights[:, self.map.root] > 0] = self.map.root
        pose, has_pose = np.zeros((count, self.joints, 3), np.float32), np.zeros(count, bool)
        betas, has_betas = np.zeros((count, BETAS), np.float32), np.zeros(count, bool)
        if "global_orient" in self.parameters:
            poses = people.rows(rows).pose
            has_pose = np.isfinite(poses).all(-1)
            pose[has_pose] = poses[has_pose].reshape(-1, self.joints, 3)
        if "betas" in self.parameters:
            shapes = self.parameters["betas"][rows]
            has_betas = np.isfinite(shapes).all(-1)
            has_betas &= np.array([g is None or g == self.gender for g in people.gender[rows]], bool)
            betas = _shapes(shapes, has_betas)
        transl = np.zeros((count, 3), np.float32)
        if self.transl:
            transl[:] = _known(self.parameters["transl"][rows])
        intrinsics = _known(np.concatenate([people.focal[rows], people.center[rows]], -1)).astype(np.float32)
        return {
            "keypoints": keypoints,
            "joints_3d": joints,
            "root": root,
            "position_row": np.broadcast_to(self.map.position, (count, len(self.map.position))),
            "pose": pose,
            "has_pose": has_pose,
            "betas": betas,
            "has_betas": has_betas,
            "transl": transl,
            "intrinsics": intrinsics,
        }


def usable_rows(people: People) -> np.ndarray:
    """(M,) int64 rows of the people who have no reason against them, an image, and a box or keypoints that give one."""
    good = np.array([r is None for r in people.reason], bool) & np.array(
        [p is not None for p in people.image_path], bool
    )
    for start in range(0, len(people), _CHUNK):
        part = slice(start, start + _CHUNK)
        boxes = person_boxes(people.bbox[part], people.keypoints[part])
        with np.errstate(invalid="ignore"):
            # Pose2Pose's boxes end on the last pixel that they hold, so one of a pixel has no extent.
            good[part] &= np.isfinite(boxes).all(-1) & (boxes[:, 2:] > 1).all(-1)
            size = people.image_size[part]
            outside = (boxes[:, :2] >= size - 1).any(-1) | (boxes[:, :2] + boxes[:, 2:] <= 1).any(-1)
            good[part] &= ~(outside & (size > 0).all(-1))
    return np.flatnonzero(good)


def _known(values: np.ndarray) -> np.ndarray:
    """(N, D), zero where any of a row is unknown."""
    return np.where(np.isfinite(values).all(-1, keepdims=True), values, 0)


def _shapes(betas: np.ndarray, known: np.ndarray) -> np.ndarray:
    """(N, 10) float32: the first ten, zero where unknown or beyond the limit."""
    out = np.zeros((len(betas), BETAS), np.float32)
    width = min(BETAS, betas.shape[1])
    with np.errstate(invalid="ignore"):
        kept = known & ~(np.abs(betas) > BETA_LIMIT).any(-1)
    out[kept, :width] = betas[kept, :width]
    return out


def _check_landmarks(people: People, supervision: Supervision) -> None:
    for name in (people.landmark_set, *supervision.sets, supervision.position_set):
        skeletons.get(name)
    if people.landmark_set in supervision.sets:
        return
    theirs, base = skeletons.get(people.landmark_set).index, skeletons.get(supervision.sets[0]).index
    if not set(theirs) & set(base):
        raise PgtfastError(
            f"{people.dataset}: landmark set {people.landmark_set!r} shares no joint with {supervision.sets[0]!r}; "
            "add it to Supervision.sets"
        )


def _check_body(people: People, body_kind: str) -> None:
    if people.body_model != body_kind:
        raise PgtfastError(
            f"{people.dataset}: its body parameters are of {people.body_model!r}, the network's body is {body_kind!r}; "
            "train with that body, or open the set with use_3d=False to learn from its 2D keypoints alone"
        )
    for name, values in people.body.items():
        wanted = people.layout.parameters[name]
        if name in people.layout.rotations and values.shape[1] != wanted:
            raise PgtfastError(
                f"{people.dataset}: {name}: wanted {wanted} numbers ({wanted // 3} rotation vectors) a person, got "
                f"{values.shape[1]}"
            )
