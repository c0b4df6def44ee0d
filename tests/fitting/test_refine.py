"""Refinements of bodies whose truth is known."""

from __future__ import annotations

import pytest
import torch

from pgtfast import Camera, load_body, load_vposer, ops
from pgtfast.fitting.problem import Anchor
from pgtfast.fitting.refine import FirstBodies, refine


@pytest.fixture(scope="module")
def tools():
    body = load_body("free")
    return body, load_vposer("free"), body.landmarks("coco17")


@pytest.fixture(scope="module", params=["latent", "rotations"])
def first(request, tools):
    _, prior, _ = tools
    g = torch.Generator().manual_seed(0)
    latent = torch.randn(3, 32, generator=g) * 0.5
    root = ops.rotvec_to_matrix(torch.tensor([[torch.pi, 0.2 * n, 0] for n in range(3)]))
    rotations = torch.cat((root[:, None], prior.decode(latent), torch.eye(3).expand(3, 2, 3, 3)), 1)
    transl = torch.tensor([[0.1, 0.2, 4.0], [0.0, 0.0, 6.0], [-0.3, 0.1, 5.0]])
    return FirstBodies(rotations, latent if request.param == "latent" else None, torch.zeros(3, 10), transl)


def seen(first, camera, plan, shift):
    points = camera.project(ops.landmarks(first.rotations, first.betas, first.transl, plan.terms))
    confidence = torch.ones(3, 17, 1)
    confidence[-1] = 0  # nobody labelled the last person
    return torch.cat((points + shift, confidence), -1)


def test_bodies_move_towards_keypoints_and_those_without_stay(tools, first):
    _, prior, plan = tools
    camera = Camera.diagonal(torch.tensor([640.0, 480.0]).expand(3, 2))
    keypoints = seen(first, camera, plan, 12.0)
    with torch.inference_mode():
        given = FirstBodies(*(None if value is None else value.clone() for value in first))
        moved = refine(given, keypoints=keypoints, camera=camera, landmarks=plan, prior=prior, steps=20)
    points = camera.project(ops.landmarks(moved.rotations, moved.betas, moved.transl, plan.terms))
    error = (points - keypoints[..., :2]).norm(dim=-1).mean(-1)
    assert (error[:2] < 0.8 * 12 * 2**0.5).all()
    for before, after in zip(first, moved, strict=True):
        if before is not None:
            torch.testing.assert_close(before[2], after[2], rtol=1e-6, atol=1e-6)
    if first.latent is not None:
        torch.testing.assert_close(prior.decode(moved.latent), moved.rotations[:, 1:22], rtol=0, atol=1e-4)


def test_a_heavier_anchor_holds_the_pose(tools, first):
    _, prior, plan = tools
    camera = Camera.diagonal(torch.tensor([640.0, 480.0]).expand(3, 2))
    noise = torch.randn(3, 17, 2, generator=torch.Generator().manual_seed(1)) * 10
    keypoints = seen(first, camera, plan, noise)
    change = []
    for weight in (0.0, 1000.0):
        anchor = Anchor(orient=weight, pose=weight, betas=weight)
        moved = refine(first, keypoints=keypoints, camera=camera, landmarks=plan, prior=prior, steps=40, anchor=anchor)
        change.append((moved.rotations - first.rotations)[:2, 1:22].norm())
    assert change[1] < 0.5 * change[0], change


def test_latents_need_their_prior(tools, first):
    _, _, plan = tools
    camera = Camera.diagonal(torch.tensor([640.0, 480.0]).expand(3, 2))
    if first.latent is not None:
        with pytest.raises(ValueError, match="prior: the bodies have latents"):
            refine(first, keypoints=torch.zeros(3, 17, 3), camera=camera, landmarks=plan)
