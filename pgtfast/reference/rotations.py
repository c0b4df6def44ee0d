"""Rotations: axis-angle, matrices, and the 6D representation of Zhou et al. 2019."""

from __future__ import annotations

import torch
from torch import Tensor


def rotvec_to_matrix(rotvec: Tensor) -> Tensor:
    """Rotation matrices of rotation vectors (Rodrigues' formula).

    Args:
        rotvec: (..., 3) axis times angle, radians. Any angle, zero included (value and derivatives are exact there).

    Returns:
        (..., 3, 3).
    """
    square = (rotvec * rotvec).sum(-1)
    # Below the threshold the next term of each series is under fp64's resolution.
    small = square < 1e-3
    safe = torch.where(small, torch.ones_like(square), square)
    angle = safe.sqrt()
    half = torch.sin(0.5 * angle)
    a = torch.where(
        small, 1 - square / 6 * (1 - square / 20 * (1 - square / 42 * (1 - square / 72))), torch.sin(angle) / angle
    )
    b = torch.where(
        small, 0.5 - square / 24 * (1 - square / 30 * (1 - square / 56 * (1 - square / 90))), 2 * half * half / safe
    )
    x, y, z = rotvec.unbind(-1)
    rows = (
        1 - b * (y * y + z * z), b * x * y - a * z, b * x * z + a * y,
        b * x * y + a * z, 1 - b * (x * x + z * z), b * y * z - a * x,
        b * x * z - a * y, b * y * z + a * x, 1 - b * (x * x + y * y),
    )  # fmt: skip
    return torch.stack(rows, -1).unflatten(-1, (3, 3))


def matrix_to_rotvec(matrix: Tensor) -> Tensor:
    """Rotation vectors of rotation matrices, with angle in [0, pi].

    A quaternion is read off the largest of the four diagonal combinations, so the result is accurate at 0 and at pi,
    where the axis is taken from the symmetric part. At exactly pi, where both signs of the axis are right, its largest
    component is positive.

    Args:
        matrix: (..., 3, 3) rotation matrices (proper, orthonormal; not checked).

    Returns:
        (..., 3) axis times angle, radians.
    """
    m = matrix.flatten(-2).unbind(-1)
    xx, yy, zz = m[0], m[4], m[8]
    w0, x0, y0 = m[7] - m[5], m[2] - m[6], m[3] - m[1]
    xy, xz, yz = m[1] + m[3], m[2] + m[6], m[5] + m[7]
    candidates = torch.stack(
        (
            torch.stack((1 + xx + yy + zz, w0, x0, y0), -1),
            torch.stack((w0, 1 + xx - yy - zz, xy, xz), -1),
            torch.stack((x0, xy, 1 - xx + yy - zz, yz), -1),
            torch.stack((y0, xz, yz, 1 - xx - yy + zz), -1),
        ),
        -2,
    )
    choice = candidates.diagonal(dim1=-2, dim2=-1).argmax(-1)
    quaternion = torch.take_along_dim(candidates, choice[..., None, None].expand(*choice.shape, 1, 4), -2).squeeze(-2)
    quaternion = torch.where(quaternion[..., :1] < 0, -quaternion, quaternion)
    w, v = quaternion[..., 0], quaternion[..., 1:]
    square = (v * v).sum(-1)
    small = (w > 0) & (square < 1e-3 * w * w)
    safe = torch.where(small, torch.ones_like(square), square)
    norm = safe.sqrt()
    w_safe = torch.where(small, w, torch.ones_like(w))
    ratio = torch.where(small, square, torch.zeros_like(square)) / (w_safe * w_safe)
    series = 2 / w_safe * (1 - ratio * (1 / 3 - ratio * (1 / 5 - ratio * (1 / 7 - ratio * (1 / 9 - ratio / 11)))))
    factor = torch.where(small, series, 2 * torch.atan2(norm, w) / norm)
    return factor[..., None] * v


def rot6d_to_matrix(x: Tensor, layout: str = "column") -> Tensor:
    """Rotation matrices of 6D vectors by Gram-Schmidt (Zhou et al. 2019, Eq. 15).

    Args:
        x: (..., 6).
        layout: "column" reads x as a (3, 2) matrix whose columns are the two vectors (Pose2Pose, SPIN, VPoser); "row"
            reads two consecutive triples (4D-Humans).

    Returns:
        (..., 3, 3) with the orthonormal vectors as columns in both layouts.

    Convention:
        Networks trained with one layout give wrong bodies under the other; nothing in the numbers tells them apart.
    """
    if layout == "column":
        a1, a2 = x[..., 0::2], x[..., 1::2]
    elif layout == "row":
        a1, a2 = x[..., :3], x[..., 3:]
    else:
        raise ValueError(f"layout: wanted 'column' or 'row', got {layout!r}")
    b1 = _normalize(a1)
    b2 = _normalize(a2 - (b1 * a2).sum(-1, keepdim=True) * b1)
    return torch.stack((b1, b2, torch.linalg.cross(b1, b2)), -1)


def _normalize(v: Tensor) -> Tensor:
    square = (v * v).sum(-1, keepdim=True)
    tiny = square < 1e-24
    return v * torch.where(tiny, 1e12, torch.where(tiny, torch.ones_like(square), square).rsqrt())
