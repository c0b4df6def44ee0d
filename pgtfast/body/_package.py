"""Model objects of the `smplx` package -> frozen arrays, by their attributes: the package itself is not needed."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import torch

from pgtfast import skeletons
from pgtfast.body._arrays import BodyArrays, Regressor, Source, checked
from pgtfast.body._names import KIND_OF_JOINTS, joint_names_of

_NEEDED = ("v_template", "shapedirs", "posedirs", "J_regressor", "parents", "lbs_weights", "faces")
_MEANS = {"left_hand_mean": "left_hand_pose", "right_hand_mean": "right_hand_pose", "hand_mean": "hand_pose"}
_PICKED = skeletons.get("smplx45").joints[24:]
"""Names of the vertices that the package appends to the joints: face, feet and finger tips."""


def read_smplx(model: Any) -> tuple[BodyArrays, bool]:
    """Take the arrays of a model, and whether it measures its hands from a flat hand.

    Args:
        model: as of :func:`pgtfast.body.from_smplx`.

    Raises:
        TypeError: not such a model.
        ValueError: a setting of the model has no counterpart here.
    """
    name = type(model).__name__
    lacking = [key for key in _NEEDED if not hasattr(model, key)]
    if lacking:
        raise TypeError(
            f"wanted a body's name, a path or a model of the smplx package; {name} lacks {', '.join(lacking)}"
        )
    parents = _numbers(model.parents).astype(np.int32)
    kind = KIND_OF_JOINTS.get(len(parents))
    if kind is None:
        raise TypeError(f"{name}: wanted a SMPL, SMPL-H, SMPL-X or MANO model, got one of {len(parents)} joints")
    layer = any(one.__name__.endswith("Layer") for one in type(model).__mro__)
    if not layer and getattr(model, "use_pca", False):
        raise ValueError(f"{name}: its hands are principal components; make it with use_pca=False, or a {name}Layer")
    if getattr(model, "use_face_contour", False):
        raise ValueError(f"{name}: its contour points move over the mesh; make it with use_face_contour=False")
    template = _numbers(model.v_template)
    shapes, faces = _numbers(model.shapedirs), _numbers(getattr(model, "expr_dirs", np.zeros((*template.shape, 0))))
    arrays = BodyArrays(
        v_template=template,
        shapedirs=np.concatenate([shapes, faces], -1),
        posedirs=_numbers(model.posedirs).T.reshape(*template.shape, -1),
        joint_regressor=_numbers(model.J_regressor),
        weights=_numbers(model.lbs_weights),
        parents=parents,
        faces=_numbers(model.faces).astype(np.int64),
        joint_names=joint_names_of(kind, len(parents)),
        kind=kind,
        gender=getattr(model, "gender", "unknown"),
        num_betas=shapes.shape[-1],
        num_expression=faces.shape[-1],
        source=Source(f"smplx.{name}", _hash(model)),
        regressors={"smplx": _joints(model, kind, len(template))},
        hands_mean={key: _numbers(getattr(model, mean)) for mean, key in _MEANS.items() if hasattr(model, mean)},
    )
    return checked(arrays), layer or getattr(model, "flat_hand_mean", True) or not arrays.hands_mean


def _joints(model: Any, kind: str, vertices: int) -> Regressor:
    """What `model(...).joints` holds: kinematic joints, picked vertices, and points of the face within triangles."""
    names = list(joint_names_of(kind, len(model.parents)))
    weights = [({vertices + at: 1.0}) for at in range(len(names))]
    if kind != "mano":  # whose forward leaves its picks out
        picks = model.vertex_joint_selector.extra_joints_idxs.tolist()
        known = list(_PICKED) if len(picks) == len(_PICKED) else [f"vertex_{pick}" for pick in picks]
        names += known
        weights += [{pick: 1.0} for pick in picks]
    if hasattr(model, "lmk_faces_idx"):
        corners = _numbers(model.faces).astype(np.int64)[_numbers(model.lmk_faces_idx).astype(np.int64)]
        for at, (triangle, shares) in enumerate(zip(corners, _numbers(model.lmk_bary_coords), strict=True)):
            names.append(f"face_{at}")
            weights.append({})
            for corner, share in zip(triangle.tolist(), shares.tolist(), strict=True):
                weights[-1][corner] = weights[-1].get(corner, 0.0) + share
    order = _mapped(model, kind, len(names))
    entries = [(row, col, value) for row, at in enumerate(order) for col, value in weights[at].items()]
    rows, cols, values = (np.array(column) for column in zip(*entries, strict=True))
    return Regressor(tuple(names[at] for at in order), rows, cols, values)


def _mapped(model: Any, kind: str, count: int) -> list[int]:
    """Which joints the model's `joint_mapper` keeps, in its order: it is shown joints that are their own numbers."""
    mapper = getattr(model, "joint_mapper", None)
    if mapper is None:
        return list(range(count))
    numbers = torch.arange(float(count))[None, :, None].expand(1, count, 3)
    shown = mapper(joints=numbers, vertices=numbers) if kind == "smplx" else mapper(numbers)
    kept = shown[0, :, 0].round().long().tolist()
    if not torch.equal(shown, numbers[:, kept]):
        raise ValueError(
            f"{type(model).__name__}: its joint_mapper does more than choose joints; make it with joint_mapper=None"
        )
    return kept


def _numbers(value: Any) -> np.ndarray:
    array = value.detach().cpu().numpy() if isinstance(value, torch.Tensor) else np.asarray(value)
    return array.astype(np.float64)


def _hash(model: Any) -> str:
    """sha256 of the model's arrays, which stand for its file."""
    digest = hashlib.sha256()
    for key in (*_NEEDED, "expr_dirs"):
        if hasattr(model, key):
            digest.update(key.encode() + np.ascontiguousarray(_numbers(getattr(model, key))).tobytes())
    return digest.hexdigest()
