"""Vertices of posed bodies."""

from __future__ import annotations

import pytest
import torch

from pgtfast import _core

from .bodies import skin_terms
from .harness import SlowOpTests
from .test_landmarks import ABSENT, SHAPES, TREES, posed


class TestVertices(SlowOpTests):
    op = "vertices"
    differentiable = ("pose", "betas", "transl")
    variants = {  # noqa: RUF012
        "plain": ({}, {}),
        "matrices": ({"matrices": True}, {}),
        "no pose features": ({"pose_features": False}, {}),
        "one vertex": ({"vertices": 1}, {}),
        "dense": ({"vertices": 431}, {}),
        **TREES,
        **SHAPES,
        **ABSENT,
    }
    gradcheck_variants = ("plain", "matrices", "no pose features", "1 joints", "0 betas", "without betas")
    gradcheck_batch = (1,)

    def make(self, batch, joints=24, betas=10, vertices=53, pose_features=True, **kwargs):
        return {**posed(batch, joints, betas, **kwargs), "terms": skin_terms(joints, betas, vertices, pose_features)}

    def test_rest_pose(self, dtype, device):
        arguments = self.make((3,))
        arguments["pose"] = torch.zeros_like(arguments["pose"])
        self.agree(arguments, dtype, device)

    @pytest.mark.parametrize("value", [24, -1])
    def test_bones_out_of_range(self, value, monkeypatch, on_cpu):
        names = ["pose", "betas", "transl", "parents", "offsets", "packed", "skin_bone"]
        for name, arguments in self.core_calls(monkeypatch):
            wrong = arguments[names.index("skin_bone")].copy()
            wrong[-1, -1] = value
            arguments[names.index("skin_bone")] = wrong
            with pytest.raises(ValueError, match=f"^{name}: .*out of range"):
                getattr(_core, name)(*arguments)
