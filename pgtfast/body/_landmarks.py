"""Landmark sets of a body: what a user may ask for, and the plan that computes it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pgtfast import ops
from pgtfast._errors import PgtfastError
from pgtfast.body import _sets
from pgtfast.body._arrays import BodyArrays, Regressor
from pgtfast.body._pose import PoseLayout
from pgtfast.files.unpickle import SparseMatrix, load_npy, load_npz, load_pickle
from pgtfast.reference import LandmarkTerms

_FILES = (".npy", ".npz", ".pkl", ".pickle")


@dataclass(frozen=True, eq=False)
class LandmarkPlan:
    """Landmarks of one body: call it with the body's own keywords.

    Attributes:
        names: K landmark names.
        terms: constants for `ops.landmarks` and `ops.keypoint_loss`.
        layout: how keywords become a pose.
        row_excess: (K,) sum of each regressor row minus one, or None where all rows sum to one. A regressor whose row
            does
            not sum to one moves its landmark by a little more or less than the translation, as it would on the mesh.
    """

    names: tuple[str, ...]
    terms: LandmarkTerms
    layout: PoseLayout
    row_excess: Tensor | None

    def __call__(
        self,
        *,
        global_orient: Tensor | None = None,
        body_pose: Tensor | None = None,
        betas: Tensor | None = None,
        transl: Tensor | None = None,
        expression: Tensor | None = None,
        **hands_and_face: Tensor | None,
    ) -> Tensor:
        """Landmarks of posed bodies, exact, without the mesh. Arguments as of `BodyModel`.

        Returns:
            (..., K, 3) metres.
        """
        poses = {"global_orient": global_orient, "body_pose": body_pose, **hands_and_face}
        pose, shape, transl = self.layout.assemble(betas, expression, transl, poses)
        points = ops.landmarks(pose, shape, transl, self.terms)
        if self.row_excess is None or transl is None:
            return points
        return points + self.row_excess[:, None] * transl[..., None, :]

    def to(self, device: torch.device | str | None = None, dtype: torch.dtype | None = None) -> LandmarkPlan:
        """A copy on another device or of another dtype."""
        terms = self.terms.to(device=device, dtype=dtype)
        excess = None if self.row_excess is None else self.row_excess.to(device=device, dtype=dtype)
        layout = replace(self.layout, dtype=terms.dtype, device=terms.device)
        return replace(self, terms=terms, row_excess=excess, layout=layout)

    def __len__(self) -> int:
        return len(self.names)

    def __repr__(self) -> str:
        return f"LandmarkPlan({len(self.names)} landmarks, {len(self.terms.pair_bone)} pairs, {self.terms.dtype})"


def regressor_of(arrays: BodyArrays, spec: Any, names: Sequence[str] | None = None) -> Regressor:
    """Makes a Regressor of whatever `body.landmarks` accepts.

    Args:
        arrays: the body.
        spec: a set's name, or several, which are put one after the other; a path to a (K, V) regressor (.npy, .npz,
            .pkl); a (K, V)
            array, tensor or scipy sparse matrix; a mapping name -> vertex; a sequence of vertices.
        names: K landmark names in place of the default ones.
    """
    if isinstance(spec, (str, Path)):
        made = _by_name(arrays, spec)
    elif isinstance(spec, (tuple, list)) and spec and all(isinstance(one, str) for one in spec):
        made = _joined(arrays, spec)
    elif isinstance(spec, Regressor):
        made = spec
    elif isinstance(spec, Mapping):
        made = _vertices(arrays, list(spec.values()), tuple(map(str, spec)))
    else:
        made = _by_array(arrays, spec, "landmarks")
    if names is None:
        return made
    if len(names) != len(made):
        raise ValueError(f"names: wanted {len(made)} of them, one a landmark, got {len(names)}")
    return replace(made, names=tuple(names))


def _joined(arrays: BodyArrays, sets: Sequence[str]) -> Regressor:
    parts = [_by_name(arrays, name) for name in sets]
    starts = np.cumsum([0, *(len(part) for part in parts)])
    return Regressor(
        tuple(f"{name}/{joint}" for name, part in zip(sets, parts, strict=True) for joint in part.names),
        np.concatenate([part.rows + start for part, start in zip(parts, starts, strict=False)]),
        np.concatenate([part.cols for part in parts]),
        np.concatenate([part.values for part in parts]),
    )


def known_sets(arrays: BodyArrays) -> tuple[str, ...]:
    """Names that `body.landmarks` knows on this body."""
    own = list(arrays.regressors)
    if arrays.kind in ("smpl", "smplh") and len(arrays.weights) == _sets.SMPL_VERTICES:
        more = [name for name in _sets.SMPL_SETS if arrays.kind == "smpl" or name not in ("smpl24", "smplx45")]
    elif arrays.kind == "smplx" and len(arrays.weights) == _sets.SMPLX_VERTICES:
        more = list(_sets.SMPLX_SETS)
    else:
        more = ["smpl24"] if len(arrays.parents) == 24 else []
        more += ["p2p25"] if more and "coco17_feet" in own else []
    return tuple(dict.fromkeys(own + more))


def _by_name(arrays: BodyArrays, spec: str | Path) -> Regressor:
    name = str(spec)
    if name in arrays.regressors:
        return arrays.regressors[name]
    if name in known_sets(arrays):
        return _sets.free_p2p25(arrays) if arrays.kind == "free" and name == "p2p25" else _sets.smpl_set(arrays, name)
    path = Path(spec)
    if path.suffix in _FILES:
        return _by_file(arrays, path)
    known = ", ".join(known_sets(arrays)) or "none"
    if name in _sets.SMPL_SETS:
        raise PgtfastError(
            f"landmark set {name!r} picks vertices of the official SMPL mesh and means nothing on this "
            f"{arrays.kind!r} body "
            f"({len(arrays.weights)} vertices, {arrays.source.file}); it has: {known}"
        )
    raise PgtfastError(
        f"landmark set {name!r} is not known on this {arrays.kind!r} body ({arrays.source.file}); it has: {known}; "
        "a regressor file is named by its path (.npy, .npz, .pkl)"
    )


def _by_file(arrays: BodyArrays, path: Path) -> Regressor:
    if arrays.kind == "free":
        raise PgtfastError(
            f"{path}: regressor files are made for the vertices of the licensed bodies and mean nothing on the "
            f"free body; "
            f"it has: {', '.join(known_sets(arrays))}. An array made for the free body is passed as an array"
        )
    if not path.is_file():
        raise PgtfastError(f"{path}: no such regressor file")
    if path.suffix == ".npy":
        value = load_npy(path)
    elif path.suffix == ".npz":
        held = load_npz(path)
        value = _scipy_archive(path, held) if {"format", "data", "shape"} <= set(held) else _only(path, held)
    else:
        value = load_pickle(path)
    return _by_array(arrays, value, str(path))


def _only(path: Path, held: dict[str, Any]) -> Any:
    found = [key for key, value in held.items() if isinstance(value, SparseMatrix) or np.ndim(value) == 2]
    if len(found) != 1:
        raise PgtfastError(f"{path}: wanted one (K, V) array, found {len(found)} among {', '.join(held) or 'nothing'}")
    return held[found[0]]


def _scipy_archive(path: Path, held: dict[str, Any]) -> SparseMatrix:
    """What scipy.sparse.save_npz writes."""
    try:
        kind = str(np.asarray(held["format"]).astype(str))
        shape = (int(held["shape"][0]), int(held["shape"][1]))
        if kind == "coo":
            return SparseMatrix(held["row"], held["col"], held["data"], shape)
        if kind not in ("csr", "csc"):
            raise ValueError(f"format {kind!r}")
        return SparseMatrix.compressed(kind, held["data"], held["indices"], held["indptr"], shape)
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        raise PgtfastError(f"{path}: not a sparse matrix in coo, csr or csc form ({error})") from error


def _by_array(arrays: BodyArrays, spec: Any, what: str) -> Regressor:
    if hasattr(spec, "tocoo"):
        coo = spec.tocoo()
        spec = SparseMatrix(np.asarray(coo.row), np.asarray(coo.col), np.asarray(coo.data), tuple(coo.shape))
    if isinstance(spec, Tensor):
        spec = spec.detach().cpu()
        spec = (spec.to_dense() if spec.layout != torch.strided else spec).numpy()
    if isinstance(spec, SparseMatrix):
        _check_shape(arrays, spec.shape, what)
        rows, cols, values = spec.rows, spec.cols, np.asarray(spec.values, dtype=np.float64)
        return _finite(what, Regressor(_numbered(spec.shape[0]), rows, cols, values))
    try:
        dense = np.asarray(spec)
        whole = dense.ndim == 1 and dense.size > 0 and dense.dtype.kind in "iu"
        dense = dense if whole else dense.astype(np.float64, copy=False)
    except (TypeError, ValueError) as error:
        raise TypeError(
            f"{what}: wanted a set's name, a path, a (K, V) array or sparse matrix, vertices, or a mapping name -> "
            f"vertex; "
            f"got {type(spec).__name__} ({error})"
        ) from error
    if whole:
        return _vertices(arrays, dense.tolist(), tuple(f"vertex_{at}" for at in dense.tolist()))
    _check_shape(arrays, dense.shape, what)
    rows, cols = np.nonzero(dense)
    return _finite(what, Regressor(_numbered(len(dense)), rows, cols, dense[rows, cols]))


def _numbered(count: int) -> tuple[str, ...]:
    return tuple(f"landmark_{at}" for at in range(count))


def _check_shape(arrays: BodyArrays, shape: tuple[int, ...], what: str) -> None:
    vertices = len(arrays.weights)
    if len(shape) == 2 and shape[0] > 0 and shape[1] == vertices:
        return
    hint = "; transpose it" if len(shape) == 2 and shape[0] == vertices else ""
    raise ValueError(
        f"{what}: wanted (K, {vertices}) weights over the vertices of this {arrays.kind!r} body, got {shape}{hint}"
    )


def _finite(what: str, made: Regressor) -> Regressor:
    if not np.isfinite(made.values).all():
        raise ValueError(f"{what}: wanted finite weights, got {int((~np.isfinite(made.values)).sum())} that are not")
    return made


def _vertices(arrays: BodyArrays, picks: list[Any], names: tuple[str, ...]) -> Regressor:
    count = len(arrays.weights)
    for name, pick in zip(names, picks, strict=True):
        if isinstance(pick, bool) or not isinstance(pick, (int, np.integer)) or not 0 <= pick < count:
            raise ValueError(f"landmark {name!r}: wanted a vertex index from 0 to {count - 1}, got {pick!r}")
    if not picks:
        raise ValueError("landmarks: wanted at least one")
    return Regressor(names, np.arange(len(picks)), np.array(picks), np.ones(len(picks)))
