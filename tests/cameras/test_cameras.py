"""Cameras: every conversion there and back, and against brute force."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from pgtfast import reference, skeletons
from pgtfast.body import load_body
from pgtfast.cameras import Camera, body_to_camera, body_to_world, flip_body
from tests.helpers import bodies

PIXEL = 1e-4


def tensor(*values):
    return torch.tensor(values, dtype=torch.float64)


def random(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def points(batch=4, joints=9):
    return random(batch, joints, 3) * 0.5 + tensor(0.2, -0.1, 4.0)


def test_project_is_the_pinhole_formula():
    camera = Camera(tensor(1000, 900), tensor(320, 240), tensor(640, 480))
    xyz = points()
    pixels = camera.project(xyz)
    assert torch.allclose(pixels[..., 0], 1000 * xyz[..., 0] / xyz[..., 2] + 320)
    assert torch.allclose(pixels[..., 1], 900 * xyz[..., 1] / xyz[..., 2] + 240)
    assert torch.allclose(camera.unproject(pixels, xyz[..., 2]), xyz)
    homogeneous = xyz @ camera.matrix.T
    assert torch.allclose(pixels, homogeneous[..., :2] / homogeneous[..., 2:])
    again = Camera.from_matrix(camera.matrix, camera.size)
    assert torch.equal(again.focal, camera.focal)
    assert torch.equal(again.center, camera.center)


def test_diagonal_guess():
    camera = Camera.diagonal(tensor(640, 480).expand(2, 2))
    assert torch.allclose(camera.focal, tensor(800, 800).expand(2, 2))
    assert torch.allclose(camera.center, tensor(319.5, 239.5).expand(2, 2))


def test_from_crop_is_pose2poses_formula():
    x, y, w, h = 31.0, -12.0, 300.0, 400.0
    camera = Camera.from_crop(tensor(x, y, w, h), tensor(640, 480))
    assert torch.allclose(camera.focal, tensor(5000 / 192 * w, 5000 / 256 * h))
    assert torch.allclose(camera.center, tensor(96 / 192 * w + x, 128 / 256 * h + y))
    assert torch.equal(camera.size, tensor(640, 480))


def test_crop_and_full_image_see_the_same():
    size, crop_size = tensor(1920, 1080), tensor(192, 256)
    bbox = torch.stack(
        [
            random(4) * 50,
            random(4, seed=1) * 50,
            200 + 50 * random(4, seed=2).abs(),
            300 + 50 * random(4, seed=3).abs(),
        ],
        -1,
    )
    full = Camera.diagonal(size)
    xyz = points()
    crop = full.to_crop(bbox, crop_size)
    expected = (full.project(xyz) - bbox[:, None, :2]) * (crop_size / bbox[:, None, 2:])
    assert (crop.project(xyz) - expected).abs().max() < PIXEL
    back = crop.to_full_image(bbox, size)
    assert (back.project(xyz) - full.project(xyz)).abs().max() < PIXEL


def weak_example():
    weak = torch.stack([0.7 + 0.1 * random(4).abs(), 0.1 * random(4, seed=1), 0.2 * random(4, seed=2)], -1)
    box_center = tensor(700, 400) + 100 * random(4, 2, seed=3)
    return weak, box_center, 300 + 40 * random(4, seed=4).abs(), tensor(1920, 1080)


def test_weak_camera_is_hmrs_formula_and_back():
    weak, box_center, box_size, size = weak_example()
    camera = Camera.from_weak_perspective(weak, box_center, box_size, size)
    xyz = points()
    in_box = weak[:, None, :1] * (xyz[..., :2] + weak[:, None, 1:])
    expected = box_center[:, None] + in_box * box_size[:, None, None] / 2
    assert (camera.project(xyz) - expected).abs().max() < PIXEL
    assert torch.allclose(camera.weak_perspective(box_center, box_size), weak)


def test_spins_translation():
    weak, box_center, box_size, size = weak_example()
    placed = Camera.from_weak_perspective(weak, box_center, box_size, size).to_perspective(
        focal=(5000 * box_size / 224)[:, None].expand(4, 2), center=box_center
    )
    assert torch.allclose(placed.transl[:, :2], weak[:, 1:])
    assert torch.allclose(placed.transl[:, 2], 2 * 5000 / (224 * weak[:, 0]))
    in_crop = placed.camera.to_crop(
        torch.cat([box_center - box_size[:, None] / 2, box_size[:, None].expand(4, 2)], -1), tensor(224, 224)
    )
    assert torch.allclose(in_crop.focal, tensor(5000).expand(4, 2))
    assert torch.allclose(in_crop.center, tensor(112).expand(4, 2))


def test_cliffs_full_image_translation():
    weak, box_center, box_size, size = weak_example()
    focal = math.hypot(1920, 1080)
    placed = Camera.from_weak_perspective(weak, box_center, box_size, size).to_perspective(
        tensor(focal, focal), center=size / 2
    )
    scale, tx, ty = weak.unbind(-1)
    expected = [
        2 * (box_center[:, 0] - 960) / (box_size * scale) + tx,
        2 * (box_center[:, 1] - 540) / (box_size * scale) + ty,
    ]
    assert torch.allclose(placed.transl, torch.stack([*expected, 2 * focal / (box_size * scale)], -1))


def test_weak_to_perspective_and_back():
    weak, box_center, box_size, size = weak_example()
    camera = Camera.from_weak_perspective(weak, box_center, box_size, size)
    for focal, center in ((tensor(1500, 1500), None), (tensor(1500, 1500), tensor(3, 4))):
        placed = camera.to_perspective(focal, center)
        back = placed.camera.to_weak(placed.transl)
        xyz = points()
        assert (back.project(xyz) - camera.project(xyz)).abs().max() < PIXEL
        flat = xyz * tensor(1, 1, 0)
        assert (placed.camera.project(flat + placed.transl[:, None]) - camera.project(flat)).abs().max() < PIXEL
        far = placed.camera.to_weak(placed.transl).to_perspective(focal, center).transl
        assert torch.allclose(far, placed.transl)


def test_flipped_camera_sees_the_mirrored_scene():
    camera = Camera(tensor(1000, 900), tensor(320, 200), tensor(640, 480))
    xyz = points()
    mirrored = camera.flipped().project(xyz * tensor(-1, 1, 1))
    assert (mirrored[..., 0] - (639 - camera.project(xyz)[..., 0])).abs().max() < PIXEL
    assert torch.allclose(mirrored[..., 1], camera.project(xyz)[..., 1])
    assert torch.allclose(camera.flipped().flipped().center, camera.center)


def body(tmp_path, symmetric: bool = False):
    arrays = dict(bodies.body_arrays("smpl", vertices=120))
    if symmetric:
        arrays = mirrored_body(arrays)
    return load_body(bodies.write_npz(tmp_path / "body.npz", arrays)).to(dtype=torch.float64)


def mirrored_body(arrays):
    """The body glued to its mirror image, so that it is symmetric in x with vertex v + V the mirror of v."""
    swap = list(skeletons.get("smpl24").flip_permutation)
    mirror = np.array([-1.0, 1.0, 1.0])
    features = np.arange(207).reshape(23, 3, 3)[[joint - 1 for joint in swap[1:]]].reshape(-1)
    signs = np.tile(np.outer(mirror, mirror).reshape(-1), 23)
    posed = arrays["posedirs"][..., features] * signs * mirror[:, None]
    return arrays | {
        "v_template": np.concatenate([arrays["v_template"], arrays["v_template"] * mirror]).astype(np.float64),
        "shapedirs": np.concatenate([arrays["shapedirs"], arrays["shapedirs"] * mirror[:, None]]).astype(np.float64),
        "posedirs": np.concatenate([arrays["posedirs"], posed]).astype(np.float64),
        "weights": np.concatenate([arrays["weights"], arrays["weights"][:, swap]]),
        "J_regressor": np.concatenate([arrays["J_regressor"], arrays["J_regressor"][swap]], 1) / 2,
    }


def arguments(batch=4):
    return {
        "global_orient": random(batch, 3, seed=1), "body_pose": random(batch, 69, seed=2) * 0.4,
        "betas": random(batch, 10, seed=3), "transl": random(batch, 3, seed=4),
    }  # fmt: skip


@pytest.mark.parametrize("form", ["vector", "matrix"])
def test_world_to_camera_moves_every_vertex(tmp_path, form):
    model, given = body(tmp_path), arguments()
    rotation = reference.rotvec_to_matrix(random(4, 3, seed=7))
    translation = random(4, 3, seed=8) * 3
    world = model(**given).vertices
    pelvis = model(betas=given["betas"]).joints[..., 0, :]
    orient = given["global_orient"] if form == "vector" else reference.rotvec_to_matrix(given["global_orient"])
    placed = body_to_camera(orient, given["transl"], pelvis, rotation, translation)
    root = placed.global_orient if form == "vector" else reference.matrix_to_rotvec(placed.global_orient)
    seen = model(global_orient=root, body_pose=given["body_pose"], betas=given["betas"], transl=placed.transl).vertices
    brute = world @ rotation.transpose(-1, -2) + translation[:, None]
    assert (seen - brute).abs().max() < 1e-9
    camera = Camera.diagonal(tensor(1920, 1080))
    ahead = tensor(0, 0, 20)
    assert (camera.project(seen + ahead) - camera.project(brute + ahead)).abs().max() < PIXEL
    forgotten = (rotation @ given["transl"][..., None]).squeeze(-1) + translation
    wrong = model(global_orient=root, body_pose=given["body_pose"], betas=given["betas"], transl=forgotten).vertices
    assert (wrong - brute).abs().max() > 1e-2
    back = body_to_world(placed.global_orient, placed.transl, pelvis, rotation, translation)
    assert torch.allclose(back.transl, given["transl"])
    orient_back = back.global_orient if form == "matrix" else reference.rotvec_to_matrix(back.global_orient)
    assert torch.allclose(orient_back, reference.rotvec_to_matrix(given["global_orient"]))


@pytest.mark.parametrize("form", ["vector", "matrix"])
def test_flipped_body_is_the_mirrored_mesh(tmp_path, form):
    model, given = body(tmp_path, symmetric=True), arguments()
    mesh = model(**given).vertices
    pose = torch.cat([given["global_orient"], given["body_pose"]], -1).unflatten(-1, (24, 3))
    pose = pose if form == "vector" else reference.rotvec_to_matrix(pose)
    pelvis = model(betas=given["betas"]).joints[..., 0, :]
    permutation = skeletons.get("smpl24").flip_permutation
    flipped, transl = flip_body(pose, given["transl"], permutation, pelvis)
    trailing = 1 if form == "vector" else 2
    orient = flipped.select(-1 - trailing, 0) if form == "vector" else flipped[:, :1]
    rest = flipped.narrow(-1 - trailing, 1, 23)
    seen = model(global_orient=orient, body_pose=rest, betas=given["betas"], transl=transl).vertices
    mirrored = torch.cat([mesh[:, 120:], mesh[:, :120]], 1) * tensor(-1, 1, 1)
    assert (seen - mirrored).abs().max() < 1e-9
    again, transl_again = flip_body(flipped, transl, permutation, pelvis)
    assert torch.allclose(again, pose)
    assert torch.allclose(transl_again, given["transl"])
    _, simple = flip_body(pose, given["transl"], permutation)
    assert torch.equal(simple, given["transl"] * tensor(-1, 1, 1))


def test_to_and_repr():
    camera = Camera.diagonal(tensor(640, 480)).to(dtype=torch.float32)
    assert camera.focal.dtype == camera.size.dtype == torch.float32
    assert repr(camera) == "Camera(focal=(2,), center=(2,), size=(2,), model='perspective')"


def test_errors_teach():
    good = tensor(1, 2)
    with pytest.raises(ValueError, match=r"center: wanted a floating tensor \(\.\.\., 2\), got \(3,\) torch.float64"):
        Camera(good, tensor(1, 2, 3), good)
    with pytest.raises(ValueError, match=r"size: wanted a floating tensor .* got list"):
        Camera(good, good, [640, 480])
    with pytest.raises(ValueError, match="model: wanted one of perspective, weak, got 'fisheye'"):
        Camera(good, good, good, "fisheye")
    with pytest.raises(ValueError, match="to_weak: wanted a camera of model 'perspective', got 'weak'"):
        Camera(good, good, good, "weak").to_weak(tensor(0, 0, 1))
    with pytest.raises(ValueError, match=r"matrix: wanted \[\[fx, 0, cx\]"):
        Camera.from_matrix(torch.ones(3, 3), good)
    with pytest.raises(ValueError, match=r"global_orient: wanted \(\.\.\., 3\) or \(\.\.\., 3, 3\)"):
        body_to_camera(random(4, 6), random(4, 3), random(4, 3), random(4, 3, 3), random(4, 3))
    with pytest.raises(ValueError, match=r"pose: wanted \(\.\.\., 24, 3\)"):
        flip_body(random(4, 23, 3), random(4, 3), range(24))
