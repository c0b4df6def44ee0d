"""Fits against bodies whose truth is known."""

from __future__ import annotations

import math

import pytest
import torch

from pgtfast import Camera, load_body, load_vposer, ops
from pgtfast.fit import Weights, fit_keypoints

PEOPLE = 48
NOISE = 0.01
"""Standard deviation of the keypoints, in body heights."""


@pytest.fixture(scope="module")
def tools():
    body = load_body("free")
    return body, load_vposer("free"), body.landmarks("coco17")


@pytest.fixture(scope="module")
def world(tools):
    """Bodies drawn from the prior, facing anywhere, standing roughly upright, seen by a perspective camera with noise;
    one keypoint in ten is missing."""
    body, prior, plan = tools
    g = torch.Generator().manual_seed(3)

    def normal(*shape):
        return torch.randn(*shape, generator=g)

    def about(axis, angle):
        return ops.rotvec_to_matrix(torch.nn.functional.one_hot(torch.tensor(axis), 3) * angle[:, None])

    n = PEOPLE
    yaw = torch.rand(n, generator=g) * 2 * math.pi
    root = about(2, normal(n) * 0.15) @ about(0, normal(n) * 0.15 + math.pi) @ about(1, yaw)
    joints = torch.cat((prior.decode(normal(n, 32) * 0.8), torch.eye(3).expand(n, 2, 3, 3)), 1)
    pose, betas = torch.cat((root[:, None], joints), 1), normal(n, 10) * 0.7
    depth = 2.5 + torch.rand(n, generator=g) * 8
    transl = torch.stack(((torch.rand(n, generator=g) - 0.5) * depth * 0.5, normal(n) * 0.1 * depth, depth), -1)
    camera = Camera.diagonal(torch.tensor([640.0, 480.0]).expand(n, 2))
    seen = camera.project(ops.landmarks(pose, betas, transl, plan.terms))
    seen = seen + normal(n, 17, 2) * NOISE * 1.7 * (camera.focal[:, :1] / depth[:, None])[..., None]
    confidence = torch.where(torch.rand(n, 17, generator=g) < 0.1, 0.0, 1.0)
    truth = ops.landmarks(pose, betas, transl, body.joints_plan.terms)
    return torch.cat((seen, confidence[..., None]), -1), camera, truth


@pytest.fixture(scope="module")
def fitted(tools, world):
    body, prior, plan = tools
    return fit_keypoints(keypoints=world[0], camera=world[1], body=body, prior=prior, landmarks=plan)


def joints(body, result):
    return body(
        global_orient=result.global_orient, body_pose=result.body_pose, betas=result.betas, transl=result.transl
    ).joints


def pa_mm(points, truth):
    aligned = ops.procrustes_align(points[:, :22].contiguous(), truth[:, :22].contiguous()).aligned
    return 1000 * (aligned - truth[:, :22]).norm(dim=-1).mean(-1)


def test_close_to_the_truth(tools, world, fitted):
    body, prior, _ = tools
    keypoints, _, truth = world
    assert fitted.valid.all()
    error = pa_mm(joints(body, fitted), truth)
    mean = torch.cat((torch.eye(3)[None], prior.decode(torch.zeros(32)), torch.eye(3).expand(2, 3, 3)))
    standing = ops.landmarks(mean[None], None, None, body.joints_plan.terms).expand(len(truth), -1, -1)
    baseline = pa_mm(standing, truth)
    assert error.mean() < 60, f"{error.mean():.1f} mm"
    assert error.mean() < 0.55 * baseline.mean(), f"{error.mean():.1f} mm, a mean pose has {baseline.mean():.1f} mm"
    depth = (fitted.transl[:, 2] / truth[:, 0, 2] - 1).abs()
    assert depth.median() < 0.08
    used = keypoints[..., 2] > 0
    pixels = (fitted.projected - keypoints[..., :2]).norm(dim=-1)[used]
    assert pixels.mean() < 4


def test_rows_agree_with_each_other(tools, world, fitted):
    _, prior, plan = tools
    points = plan(
        global_orient=fitted.global_orient, body_pose=fitted.body_pose, betas=fitted.betas, transl=fitted.transl
    )
    torch.testing.assert_close(points, fitted.landmarks, atol=2e-4, rtol=1e-4)
    torch.testing.assert_close(world[1].project(points), fitted.projected, atol=0.05, rtol=1e-4)
    decoded = ops.matrix_to_rotvec(prior.decode(fitted.latent)).flatten(1)
    torch.testing.assert_close(decoded, fitted.body_pose[:, :63], atol=1e-4, rtol=1e-4)
    assert not fitted.body_pose[:, 63:].any()
    assert (fitted.margin >= 0).all()
    assert "global_orient=(48, 3)" in repr(fitted)


def test_people_do_not_influence_each_other(tools, world, fitted):
    body, prior, plan = tools
    rows = torch.tensor([5, 2])
    camera = Camera(world[1].focal[rows], world[1].center[rows], world[1].size[rows])
    again = fit_keypoints(keypoints=world[0][rows], camera=camera, body=body, prior=prior, landmarks=plan)
    torch.testing.assert_close(again.loss, fitted.loss[rows], atol=0.05, rtol=0.02)
    torch.testing.assert_close(again.transl, fitted.transl[rows], atol=0.05, rtol=0.02)


def test_same_input_same_bits(tools, world):
    body, prior, _ = tools
    camera = Camera(*(getattr(world[1], name)[:4] for name in ("focal", "center", "size")))
    one, two = (fit_keypoints(keypoints=world[0][:4], camera=camera, body=body, prior=prior, steps=5) for _ in range(2))
    assert one.hands_and_face == two.hands_and_face == {}
    for a, b in zip(one[:-1], two[:-1], strict=True):
        assert torch.equal(a, b)


def test_without_a_prior(tools, world):
    """Two dimensions alone leave depth open: the image is met better than the body."""
    body, _, plan = tools
    camera = Camera(*(getattr(world[1], name)[:16] for name in ("focal", "center", "size")))
    result = fit_keypoints(keypoints=world[0][:16], camera=camera, body=body, prior=None, landmarks=plan)
    assert result.latent is None
    assert result.valid.all()
    assert pa_mm(joints(body, result), world[2][:16]).median() < 90
    used = world[0][:16, :, 2] > 0
    assert (result.projected - world[0][:16, :, :2]).norm(dim=-1)[used].mean() < 4


def test_a_dropped_keypoint_may_be_anywhere(tools, world):
    body, prior, _ = tools
    camera = Camera(*(getattr(world[1], name)[:2] for name in ("focal", "center", "size")))
    keypoints = world[0][:2].clone()
    keypoints[:, 3, 2] = 0
    one = fit_keypoints(keypoints=keypoints, camera=camera, body=body, prior=prior, steps=8)
    keypoints[:, 3, :2] = torch.nan
    two = fit_keypoints(keypoints=keypoints, camera=camera, body=body, prior=prior, steps=8)
    torch.testing.assert_close(one.transl, two.transl)


def test_people_of_all_sizes_are_treated_alike(tools, world, fitted):
    """Pixels of an image of another size: the same body at the same translation."""
    body, prior, plan = tools
    rows = slice(0, 4)
    keypoints = world[0][rows].clone()
    keypoints[..., :2] *= 4
    camera = Camera(*(4 * getattr(world[1], name)[rows] for name in ("focal", "center", "size")))
    large = fit_keypoints(keypoints=keypoints, camera=camera, body=body, prior=prior, landmarks=plan)
    torch.testing.assert_close(large.loss, fitted.loss[rows], atol=0.05, rtol=0.02)


def test_people_without_keypoints_are_not_guessed(tools, world):
    body, prior, _ = tools
    keypoints = world[0][:3].clone()
    keypoints[1, :, 2] = 0
    keypoints[2, :, 0] = torch.nan
    camera = Camera(*(getattr(world[1], name)[:3] for name in ("focal", "center", "size")))
    result = fit_keypoints(keypoints=keypoints, camera=camera, body=body, prior=prior, steps=5)
    assert result.valid.tolist() == [True, False, False]


def test_nobody(tools, world):
    body, prior, _ = tools
    camera = Camera(*(getattr(world[1], name)[:0] for name in ("focal", "center", "size")))
    result = fit_keypoints(keypoints=world[0][:0], camera=camera, body=body, prior=prior, steps=2)
    assert result.global_orient.shape == (0, 3)


def test_double(tools, world):
    body, prior, _ = tools
    camera = Camera(*(getattr(world[1], name)[:2].double() for name in ("focal", "center", "size")))
    result = fit_keypoints(
        keypoints=world[0][:2].double(), camera=camera, body=body.to(dtype=torch.float64), prior=prior, steps=5
    )
    assert result.transl.dtype == torch.float64
    assert result.valid.all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"keypoints": torch.zeros(2, 16, 3)}, r"keypoints: wanted floating \(N, 17, 3\)"),
        ({"keypoints": torch.zeros(48, 17, 3).double()}, "landmarks: wanted the keypoints' torch.float64"),
        ({"steps": 0}, "steps: wanted at least 1"),
        ({"starts": 0}, "starts: wanted at least 1"),
        (
            {"camera": Camera(torch.ones(3, 2), torch.ones(3, 2), torch.ones(3, 2))},
            r"camera.focal: wanted \(2,\) or \(48, 2\)",
        ),
        ({"camera": Camera(torch.ones(2), torch.ones(2), torch.ones(2), "weak")}, "camera: wanted model 'perspective'"),
    ],
)
def test_what_does_not_fit_is_named(tools, world, change, message):
    body, prior, _ = tools
    with pytest.raises(ValueError, match=message):
        fit_keypoints(**{"keypoints": world[0], "camera": world[1], "body": body, "prior": prior, **change})


def test_weights_pull(tools, world):
    body, prior, _ = tools
    camera = Camera(*(getattr(world[1], name)[:8] for name in ("focal", "center", "size")))
    energy = [
        fit_keypoints(
            keypoints=world[0][:8], camera=camera, body=body, prior=prior, steps=40, starts=2, weights=Weights(pose=w)
        )
        .latent.square()
        .mean()
        for w in (2.0, 60.0)
    ]
    assert energy[1] < 0.7 * energy[0]
