"""What is known about people, laid out in the fixed columns of a :class:`Batch`, a batch at a time."""

from __future__ import annotations

import numpy as np

from .. import skeletons
from .._errors import PgtfastError
from .crops import person_boxes
from .people import People
from .sets import ImageSet
from .supervision import Supervision

BODY_JOINTS, BETAS = 24, 10
BETA_LIMIT = 3.0
"""A body with any |beta| above this is taken as the mean shape (Pose2Pose's rule: such shapes come from fits gone wrong)."""
_CHUNK = 1 << 16


class PersonColumns:
    """The supervision of the people of one set, spread over the columns of a :class:`Batch` when a batch asks for it.

    Args:
        image_set: the people.
        supervision: the landmarks of the losses.
        body_kind: what the network's body parameters are of ("smpl", "free"); None leaves all body parameters out.
        gender: of the network's body file.

    Raises:
        PgtfastError: the set's landmark set is unknown or shares no joint with `supervision`, or its body parameters are of another body.
    """

    def __init__(
        self, image_set: ImageSet, supervision: Supervision, *, body_kind: str | None, gender: str = "neutral"
    ) -> None:
        people = image_set.people
        self.people, self.supervision, self.gender = people, supervision, gender
        self.joints_3d = image_set.use_3d and people.joints_3d is not None
        self.body = body_kind is not None and image_set.use_3d and people.body_model is not None
        self.transl = self.body and people.transl is not None
        self.intrinsics = people.focal is not None and people.center is not None
        _check_landmarks(people, supervision)
        if self.body and (people.pose is not None or people.betas is not None):
            _check_body(people, str(body_kind))
        self.map = supervision.joint_map(people.landmark_set)

    def __call__(self, rows: np.ndarray) -> dict[str, np.ndarray]:
        """The columns of some people as :class:`Batch` has them: keypoints, joints_3d, root, position_row, pose, has_pose, betas, has_betas, transl,
        intrinsics."""
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
        pose, has_pose = np.zeros((count, BODY_JOINTS, 3), np.float32), np.zeros(count, bool)
        betas, has_betas = np.zeros((count, BETAS), np.float32), np.zeros(count, bool)
        if self.body and people.pose is not None:
            has_pose = np.isfinite(people.pose[rows]).all(-1)
            pose[has_pose] = people.pose[rows[has_pose]].reshape(-1, BODY_JOINTS, 3)
        if self.body and people.betas is not None:
            has_betas = np.isfinite(people.betas[rows]).all(-1)
            if people.gender is not None:
                has_betas &= np.array([g is None or g == self.gender for g in people.gender[rows]], bool)
            betas = _shapes(people.betas[rows], has_betas)
        transl = np.zeros((count, 3), np.float32)
        if self.transl and people.transl is not None:
            transl[:] = _known(people.transl[rows])
        intrinsics = np.zeros((count, 4), np.float32)
        if people.focal is not None and people.center is not None:
            intrinsics[:] = _known(np.concatenate([people.focal[rows], people.center[rows]], -1))
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
            f"{people.dataset}: landmark set {people.landmark_set!r} shares no joint with {supervision.sets[0]!r}; add it to Supervision.sets"
        )


def _check_body(people: People, body_kind: str) -> None:
    if people.body_model != body_kind:
        raise PgtfastError(
            f"{people.dataset}: its body parameters are of {people.body_model!r}, the network's body is {body_kind!r}; "
            "train with that body, or open the set with use_3d=False to learn from its 2D keypoints alone"
        )
    if people.pose is not None and people.pose.shape[1] != BODY_JOINTS * 3:
        raise PgtfastError(
            f"{people.dataset}: pose: wanted {BODY_JOINTS * 3} numbers ({BODY_JOINTS} rotation vectors) a person, got {people.pose.shape[1]}"
        )
