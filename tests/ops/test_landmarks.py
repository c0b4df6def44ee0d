"""Landmarks without a mesh."""

from __future__ import annotations

import pytest
import torch

from pgtfast import _core, ops, reference

from .bodies import body_arguments, landmark_terms
from .harness import SlowOpTests

TREES = {f"{j} joints": ({"joints": j}, {}) for j in (1, 2, 16, 52, 55, 64)}
SHAPES = {f"{s} betas": ({"betas": s}, {}) for s in (0, 20)}
ABSENT = {f"without {name}": ({"without": name}, {}) for name in ("betas", "transl")}


def posed(batch, joints=24, betas=10, matrices=False, without=None):
    """pose, betas and transl by name."""
    pose, shape, transl = body_arguments(batch, joints, betas)
    if matrices:
        pose = reference.rotvec_to_matrix(pose)
    every = {"pose": pose, "betas": shape, "transl": transl}
    return {n: None if n == without else v for n, v in every.items()}


class TestLandmarks(SlowOpTests):
    op = "landmarks"
    differentiable = ("pose", "betas", "transl")
    variants = {  # noqa: RUF012
        "plain": ({}, {}),
        "matrices": ({"matrices": True}, {}),
        "no pose features": ({"pose_features": False}, {}),
        "one landmark": ({"landmarks": 1}, {}),
        "dense": ({"landmarks": 120}, {}),
        **TREES,
        **SHAPES,
        **ABSENT,
    }
    gradcheck_variants = ("plain", "matrices", "no pose features", "1 joints", "0 betas", "without betas")
    gradcheck_batch = (1,)

    def make(self, batch, joints=24, betas=10, landmarks=17, pose_features=True, **kwargs):
        terms = landmark_terms(joints, betas, landmarks, pose_features)
        return {**posed(batch, joints, betas, **kwargs), "terms": terms}

    def test_rest_pose(self, dtype, device):
        arguments = self.make((3,))
        arguments["pose"] = torch.zeros_like(arguments["pose"])
        self.agree(arguments, dtype, device)

    def test_only_kinematic_joints(self, dtype, device):
        terms = landmark_terms()
        joints = terms.num_joints
        count = torch.arange(joints + 1).int()
        kinematic = type(terms)(
            parents=terms.parents,
            offsets=terms.offsets,
            moments=terms.moments[:0],
            moment_row=torch.full((joints,), -1, dtype=torch.int32),
            pair_bone=count[:-1],
            pair_mass=torch.ones(joints, dtype=torch.float64),
            pair_start=count,
        )
        self.agree({**posed((19,)), "terms": kinematic}, dtype, device)

    def test_a_single_gradient(self, device):
        pose, betas, transl = body_arguments((5,), dtype=torch.float32, device=device)
        terms = landmark_terms(dtype=torch.float32, device=device)
        every = [t.clone().requires_grad_() for t in (pose, betas, transl)]
        full = torch.autograd.grad(ops.landmarks(*every, terms).square().sum(), every)
        for k, want in enumerate(full):
            alone = [t.clone().requires_grad_(i == k) for i, t in enumerate((pose, betas, transl))]
            (got,) = torch.autograd.grad(ops.landmarks(*alone, terms).square().sum(), alone[k])
            assert torch.equal(got, want)

    @pytest.mark.parametrize(
        ("which", "value"),
        [
            ("pair_bone", 24),
            ("pair_bone", -1),
            ("moment_row", 10_000),
            ("moment_row", -2),
            ("pair_start", 3),
            ("parents", 7),
        ],
    )
    def test_indices_out_of_range(self, which, value, monkeypatch, on_cpu):
        names = [
            "pose",
            "betas",
            "transl",
            "parents",
            "offsets",
            "packed",
            "moment_row",
            "pair_bone",
            "pair_mass",
            "pair_start",
        ]
        for name, arguments in self.core_calls(monkeypatch):
            wrong = arguments[names.index(which)]
            wrong = list(wrong) if which == "parents" else wrong.copy()
            wrong[0] = value
            arguments[names.index(which)] = wrong
            with pytest.raises(ValueError, match=f"^{name}: .*(out of range|parents: wanted)"):
                getattr(_core, name)(*arguments)
