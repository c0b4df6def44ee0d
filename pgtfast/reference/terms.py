"""Constant tensors that describe a body, its landmarks or a decoder to the ops.

The tensors are plain data: :mod:`pgtfast.body` and :mod:`pgtfast.priors` build them once from a file, the ops and their
references read them on every call. No gradient flows into them.

Features
    Rest geometry is linear in ``F = [1, betas (S), vec(R_1 - I), ..., vec(R_{J-1} - I)]`` where ``R_j`` is the local
    rotation of
    joint j, flattened row by row (SMPL, Loper et al. 2015, Eq. 8-9). ``C = 1 + S + 9 (J - 1)`` is its length. A model
    without pose blend shapes may
    leave the pose columns out, so that ``C = 1 + S``.

Packed rows
    Index tables are checked here, once, on whatever device they lie; the fused kernels multiply by these matrices
    twelve rows at a time, so each class carries a copy whose rows are grouped as
    ``(ceil(rows / 12), columns, 12)``, zero padded.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field

import torch
from torch import Tensor

ROW_TILE = 12


def pack_rows(matrix: Tensor) -> Tensor:
    """Group the rows of a matrix in tiles of twelve, the layout that the fused kernels read.

    Args:
        matrix: (R, C).

    Returns:
        (ceil(R / 12), C, 12) contiguous, missing rows zero.
    """
    rows, columns = matrix.shape
    tiles = -(-rows // ROW_TILE)
    padded = matrix.new_zeros(tiles * ROW_TILE, columns)
    padded[:rows] = matrix
    return padded.view(tiles, ROW_TILE, columns).transpose(1, 2).contiguous()


@dataclass(frozen=True, repr=False, eq=False)
class _Terms:
    """Shared behaviour of the dataclasses below: move, cast, and print shapes instead of numbers."""

    def to(self, device: torch.device | str | None = None, dtype: torch.dtype | None = None):
        """Copy with every tensor on `device` and every floating tensor of `dtype`; `parents` stays on the CPU."""
        changes = {}
        for item in dataclasses.fields(self):
            value = getattr(self, item.name)
            if item.init and isinstance(value, Tensor):
                target = None if item.name == "parents" else device
                changes[item.name] = value.to(device=target, dtype=dtype if value.is_floating_point() else None)
        return dataclasses.replace(self, **changes)

    @property
    def _anchor(self) -> Tensor:
        """A floating tensor, whose device and dtype are those of all."""
        raise NotImplementedError

    @property
    def device(self) -> torch.device:
        return self._anchor.device

    @property
    def dtype(self) -> torch.dtype:
        return self._anchor.dtype

    def __repr__(self) -> str:
        parts = []
        for item in dataclasses.fields(self):
            value = getattr(self, item.name)
            parts.append(f"{item.name}={tuple(value.shape) if isinstance(value, Tensor) else value}")
        return f"{type(self).__name__}({', '.join(parts)})"


def _check_range(name: str, index: Tensor, low: int, end: int) -> None:
    """Raise unless all of an index table lies in [low, end): the kernels on a device read through it unchecked."""
    if index.numel() and not (low <= int(index.min()) and int(index.max()) < end):
        got = f"{int(index.min())} to {int(index.max())}"
        raise ValueError(f"{name}: wanted indices from {low} to {end - 1}, got {got}")


@dataclass(frozen=True, repr=False, eq=False)
class _BodyTerms(_Terms):
    parents: Tensor
    offsets: Tensor

    def _check_tree(self) -> None:
        parents = self.parents.tolist()
        object.__setattr__(self, "tree", tuple(parents))
        if not parents or parents[0] != -1 or any(not 0 <= p < j for j, p in enumerate(parents[1:], 1)):
            raise ValueError(f"parents: wanted -1 first, then parents before their children, got {parents}")

    @property
    def num_joints(self) -> int:
        return self.parents.shape[0]

    @property
    def num_betas(self) -> int:
        return self.offsets.shape[2] - 1

    @property
    def _anchor(self) -> Tensor:
        return self.offsets


@dataclass(frozen=True, repr=False, eq=False)
class LandmarkTerms(_BodyTerms):
    """Landmarks as bone-relative moments: the mesh folded away (see docs/landmarks.md).

    Landmark k is ``sum_p G_bone(p) m_p + mass_p * p_bone(p)`` over its pairs ``pair_start[k] <= p < pair_start[k +
    1]``, with ``m_p =
    moments[moment_row[p]] F``, global rotations ``G`` and posed joints ``p``. A pair with ``moment_row`` -1 has no
    moment (a kinematic joint).

    Convention:
        A moment is relative to its bone's own rest joint: ``m = sum_v r_kv w_vj (v_rest - J_j)``, in metres.
    """

    parents: Tensor
    """(J,) int32 on the CPU, parents before children, root -1."""
    offsets: Tensor
    """(J, 3, 1 + S): rest joint minus the parent's rest joint (the root: its rest position), a linear function of ``[1,
    betas]``, metres."""
    moments: Tensor
    """(M, 3, C) in metres, as a linear function of F; C is 1 + S + 9 (J - 1), or 1 + S without pose blend shapes."""
    moment_row: Tensor
    """(P,) int32: row of `moments`, or -1."""
    pair_bone: Tensor
    """(P,) int32: bone of each (landmark, bone) pair, pairs sorted by landmark."""
    pair_mass: Tensor
    """(P,): summed skinning weight of the pair."""
    pair_start: Tensor
    """(K + 1,) int32: first pair of each landmark."""
    packed: Tensor = field(init=False)
    """(ceil(3 M / 12), C, 12): `moments` in row tiles."""
    tree: tuple[int, ...] = field(init=False)
    """`parents` as numbers."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "packed", pack_rows(self.moments.flatten(0, 1)))
        pairs, start = len(self.pair_bone), self.pair_start
        self._check_tree()
        _check_range("pair_bone", self.pair_bone, 0, self.num_joints)
        _check_range("moment_row", self.moment_row, -1, len(self.moments))
        if start.dim() != 1 or not len(start) or start[0] != 0 or start[-1] != pairs or (start[1:] < start[:-1]).any():
            raise ValueError(f"pair_start: wanted ascending indices from 0 to the {pairs} pairs")

    @property
    def num_landmarks(self) -> int:
        return self.pair_start.shape[0] - 1


@dataclass(frozen=True, repr=False, eq=False)
class SkinTerms(_BodyTerms):
    """A skinned mesh: rest vertices linear in F, then linear blend skinning."""

    parents: Tensor
    """(J,) int32 on the CPU, parents before children, root -1."""
    offsets: Tensor
    """(J, 3, 1 + S): as in :class:`LandmarkTerms`."""
    basis: Tensor
    """(V, 3, C): ``[v_template | shapedirs | posedirs]``, metres."""
    skin_bone: Tensor
    """(V, W) int32: bones of each vertex, W the most that any vertex has (4 in SMPL)."""
    skin_weight: Tensor
    """(V, W): their weights, zero padded, each row sums to one."""
    packed: Tensor = field(init=False)
    """(ceil(V / 4), C, 12): `basis` in row tiles of four vertices."""
    tree: tuple[int, ...] = field(init=False)
    """`parents` as numbers."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "packed", pack_rows(self.basis.flatten(0, 1)))
        self._check_tree()
        _check_range("skin_bone", self.skin_bone, 0, self.num_joints)

    @property
    def num_vertices(self) -> int:
        return self.basis.shape[0]


@dataclass(frozen=True, repr=False, eq=False)
class DecoderTerms(_Terms):
    """VPoser's decoder (Pavlakos et al. 2019): three linear layers, leaky ReLU after the first two, 21 rotations in 6D
    column layout."""

    w1: Tensor
    """(H, Z)."""
    b1: Tensor
    """(H,)."""
    w2: Tensor
    """(H, H)."""
    b2: Tensor
    """(H,)."""
    w3: Tensor
    """(6 N, H) for N rotations."""
    b3: Tensor
    """(6 N,)."""
    slope: float
    """Negative slope of the leaky ReLU: 0.2 in VPoser v1, 0.01 in v2."""
    packed1: Tensor = field(init=False)
    packed2: Tensor = field(init=False)
    packed3: Tensor = field(init=False)

    def __post_init__(self) -> None:
        if not self.slope >= 0:
            raise ValueError(
                f"slope: wanted 0 or more, got {self.slope!r}; a decoder with another activation is not VPoser's"
            )
        for k in "123":
            object.__setattr__(self, f"packed{k}", pack_rows(getattr(self, f"w{k}")))

    @property
    def num_rotations(self) -> int:
        return self.w3.shape[0] // 6

    @property
    def num_latents(self) -> int:
        return self.w1.shape[1]

    @property
    def _anchor(self) -> Tensor:
        return self.w1
