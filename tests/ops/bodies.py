"""Random bodies and landmark sets in the shape that the ops take."""

from __future__ import annotations

import torch

from pgtfast.reference import DecoderTerms, LandmarkTerms, SkinTerms

SMPL_PARENTS = (-1, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 12, 13, 14, 16, 17, 18, 19, 20, 21)


def parents_of(joints: int) -> torch.Tensor:
    """A tree: SMPL's for 24 joints, else a random one."""
    if joints == 24:
        return torch.tensor(SMPL_PARENTS, dtype=torch.int32)
    generator = torch.Generator().manual_seed(joints)
    rest = [int(torch.randint(0, j, (), generator=generator)) for j in range(1, joints)]
    return torch.tensor([-1, *rest], dtype=torch.int32)


def landmark_terms(
    joints=24, betas=10, landmarks=17, pose_features=True, dtype=torch.float64, device="cpu"
) -> LandmarkTerms:
    """Random moments: about five pairs a landmark, every seventh pair without a moment."""
    g = torch.Generator().manual_seed(7)
    counts = torch.randint(1, 9, (landmarks,), generator=g)
    pairs = int(counts.sum())
    row = torch.arange(pairs, dtype=torch.int32)
    without = torch.arange(pairs) % 7 == 3
    row[without] = -1
    row[~without] = torch.arange(int((~without).sum()), dtype=torch.int32)
    columns = 1 + betas + (9 * (joints - 1) if pose_features else 0)
    start = torch.cat((torch.zeros(1, dtype=torch.int64), counts.cumsum(0))).int()
    terms = LandmarkTerms(
        parents=parents_of(joints),
        offsets=torch.randn(joints, 3, 1 + betas, generator=g, dtype=torch.float64) * 0.1,
        moments=torch.randn(int((~without).sum()), 3, columns, generator=g, dtype=torch.float64) * 0.05,
        moment_row=row,
        pair_bone=torch.randint(0, joints, (pairs,), generator=g).int(),
        pair_mass=torch.rand(pairs, generator=g, dtype=torch.float64),
        pair_start=start,
    )
    return terms.to(device=device, dtype=dtype)


def skin_terms(joints=24, betas=10, vertices=53, pose_features=True, dtype=torch.float64, device="cpu") -> SkinTerms:
    """A random mesh with up to four bones a vertex."""
    g = torch.Generator().manual_seed(11)
    columns = 1 + betas + (9 * (joints - 1) if pose_features else 0)
    weight = torch.rand(vertices, 4, generator=g, dtype=torch.float64)
    weight[::3, 2:] = 0
    terms = SkinTerms(
        parents=parents_of(joints),
        offsets=torch.randn(joints, 3, 1 + betas, generator=g, dtype=torch.float64) * 0.1,
        basis=torch.randn(vertices, 3, columns, generator=g, dtype=torch.float64) * 0.05,
        skin_bone=torch.randint(0, joints, (vertices, 4), generator=g).int(),
        skin_weight=weight / weight.sum(1, keepdim=True),
    )
    return terms.to(device=device, dtype=dtype)


def decoder_terms(latents=32, hidden=512, rotations=21, slope=0.2, dtype=torch.float64, device="cpu") -> DecoderTerms:
    """A decoder of VPoser's shape with random weights."""
    g = torch.Generator().manual_seed(13)

    def linear(rows: int, columns: int) -> tuple[torch.Tensor, torch.Tensor]:
        weight = torch.randn(rows, columns, generator=g, dtype=torch.float64) * columns**-0.5
        return weight, torch.randn(rows, generator=g, dtype=torch.float64) * 0.1

    (w1, b1), (w2, b2), (w3, b3) = linear(hidden, latents), linear(hidden, hidden), linear(6 * rotations, hidden)
    return DecoderTerms(w1=w1, b1=b1, w2=w2, b2=b2, w3=w3, b3=b3, slope=slope).to(device=device, dtype=dtype)


def body_arguments(batch, joints=24, betas=10, dtype=torch.float64, device="cpu", seed=0, requires_grad=False):
    """Random (pose, betas, transl) of a batch shape."""
    g = torch.Generator().manual_seed(seed)
    out = (
        torch.randn(*batch, joints, 3, generator=g, dtype=torch.float64) * 0.4,
        torch.randn(*batch, betas, generator=g, dtype=torch.float64),
        torch.randn(*batch, 3, generator=g, dtype=torch.float64) + torch.tensor([0.0, 0.0, 5.0]),
    )
    return tuple(t.to(device=device, dtype=dtype).requires_grad_(requires_grad) for t in out)
