"""The frozen arrays of a body, and the checks that every file must pass."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace

import numpy as np

from pgtfast._errors import PgtfastError

MAX_JOINTS = 64


class BodyFileError(PgtfastError):
    """A body file lacks something or contradicts itself."""


@dataclass(frozen=True)
class Source:
    """Where a body came from.

    Attributes:
        file: path as it was opened.
        sha256: of the file's bytes.
    """

    file: str
    sha256: str


@dataclass(frozen=True, eq=False)
class Regressor:
    """Sparse landmark weights. Columns below V are vertices; column V + j is kinematic joint j.

    Attributes:
        names: K landmark names.
        rows: (N,) landmark of each entry, ascending.
        cols: (N,) column of each entry.
        values: (N,) float64 weights.
    """

    names: tuple[str, ...]
    rows: np.ndarray
    cols: np.ndarray
    values: np.ndarray

    def __post_init__(self) -> None:
        order = np.lexsort((self.cols, self.rows))
        for name, dtype in (("rows", np.int64), ("cols", np.int64), ("values", np.float64)):
            object.__setattr__(self, name, np.asarray(getattr(self, name), dtype=dtype)[order])

    def __len__(self) -> int:
        return len(self.names)

    def toarray(self, columns: int) -> np.ndarray:
        """Dense (K, columns)."""
        dense = np.zeros((len(self.names), columns))
        np.add.at(dense, (self.rows, self.cols), self.values)
        return dense

    def row_sums(self) -> np.ndarray:
        """(K,) sum of each row: how much of a translation reaches the landmark."""
        return np.bincount(self.rows, weights=self.values, minlength=len(self.names))


@dataclass(frozen=True, eq=False)
class BodyArrays:
    """A body as arrays, float64, read-only. Metres.

    Attributes:
        v_template: (V, 3).
        shapedirs: (V, 3, S), betas first and then the expression coefficients.
        posedirs: (V, 3, 9 (J - 1)) or (V, 3, 0).
        joint_regressor: (J, V).
        weights: (V, J), rows sum to one (a file may be off by 1e-3; its rows are divided by their sum).
        parents: (J,) int32, parents before children, root -1.
        faces: (F, 3) int64.
        joint_names: J names.
        kind: "smpl", "smplh", "smplx", "mano", "free" or "other".
        gender: "neutral", "male", "female" or "unknown".
        num_betas: how many columns of shapedirs are betas.
        num_expression: how many are expression coefficients.
        source: file and hash.
        regressors: named landmark sets that the file itself holds.
        hands_mean: keyword of each hand -> (45,) rotation vectors of the model's mean hand, radians; empty where the
            file has none.
    """

    v_template: np.ndarray
    shapedirs: np.ndarray
    posedirs: np.ndarray
    joint_regressor: np.ndarray
    weights: np.ndarray
    parents: np.ndarray
    faces: np.ndarray
    joint_names: tuple[str, ...]
    kind: str
    gender: str
    num_betas: int
    num_expression: int
    source: Source
    regressors: dict[str, Regressor] = field(default_factory=dict)
    hands_mean: Mapping[str, np.ndarray] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for item in fields(self):
            value = getattr(self, item.name)
            if isinstance(value, np.ndarray):
                value.setflags(write=False)


def checked(arrays: BodyArrays) -> BodyArrays:
    """Check the arrays against each other and divide the skinning weights by their sums; warns about files of zeros.

    Wanted: matching shapes, parents before children, finite numbers, skinning weights that are not negative and sum to
    one
    within 1e-3.

    Raises:
        BodyFileError: the arrays contradict each other.
    """
    file, joints, vertices = arrays.source.file, len(arrays.parents), len(arrays.v_template)

    def wrong(key: str, wanted: str, got: object) -> BodyFileError:
        return BodyFileError(f"{file}: {key}: wanted {wanted}, got {got}")

    if not 1 <= joints <= MAX_JOINTS:
        raise wrong("kintree_table", f"1 to {MAX_JOINTS} joints", joints)
    shapes = {
        "v_template": (vertices, 3),
        "shapedirs": (vertices, 3, arrays.num_betas + arrays.num_expression),
        "posedirs": (vertices, 3, 9 * (joints - 1) if arrays.posedirs.shape[-1] else 0),
        "joint_regressor": (joints, vertices),
        "weights": (vertices, joints),
        "faces": (len(arrays.faces), 3),
    } | dict.fromkeys(arrays.hands_mean, (45,))
    for name, shape in shapes.items():
        value = arrays.hands_mean[name] if name in arrays.hands_mean else getattr(arrays, name)
        if value.shape != shape:
            raise wrong(name, f"shape {shape}", value.shape)
        if not np.isfinite(value).all():
            raise wrong(name, "finite numbers", f"{int((~np.isfinite(value)).sum())} that are not")
    for joint, parent in enumerate(arrays.parents.tolist()):
        if joint == 0 and parent != -1:
            raise wrong("kintree_table", "a root marker (-1 or 4294967295) at joint 0", parent)
        if joint > 0 and not 0 <= parent < joint:
            raise wrong("kintree_table", f"a parent before joint {joint}", parent)
    if len(arrays.faces) and not 0 <= arrays.faces.min() <= arrays.faces.max() < vertices:
        raise wrong("faces", f"vertex indices below {vertices}", f"{arrays.faces.min()} to {arrays.faces.max()}")
    empty = [name for name in ("v_template", "weights", "joint_regressor") if not getattr(arrays, name).any()]
    if empty:
        warnings.warn(
            f"{file}: {', '.join(empty)} all zero: a placeholder file, its bodies have no shape", stacklevel=4
        )
    if len(arrays.joint_names) != joints:
        raise wrong("joint_names", f"{joints} names", len(arrays.joint_names))
    if "weights" in empty:
        return arrays
    _check_weights(arrays.weights, wrong)
    return replace(arrays, weights=arrays.weights / arrays.weights.sum(1, keepdims=True))


def _check_weights(weights: np.ndarray, wrong) -> None:
    if weights.min() < -1e-6:
        raise wrong("weights", "no negative weights", f"{weights.min():.3g}")
    off = np.abs(weights.sum(1) - 1)
    if off.max() > 1e-3:
        raise wrong("weights", "rows that sum to one", f"{weights[off.argmax()].sum():.4g} at vertex {off.argmax()}")
