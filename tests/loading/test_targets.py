"""Targets in the frame of the crops."""

from dataclasses import replace

import pytest
import torch

import pgtfast
from pgtfast import ops
from pgtfast.cameras import flip_body
from pgtfast.loading import Supervision
from pgtfast.loading.targets import crop_targets
from tests.helpers.crops import make_scene

SUPERVISION = Supervision(("p2p25", "h36m17", "coco17"))
CROP = (192, 256)
SETS = ("p2p25", "h36m17", "coco17", "p2p25", "h36m17", "h36m17", "p2p25", "p2p25")
ROW = {name: row for row, name in enumerate(SUPERVISION.names)}


@pytest.fixture(scope="module")
def body():
    return pgtfast.load_body("free")


@pytest.mark.parametrize("seed", range(3))
def test_body_targets_have_the_joints_of_the_3d_targets(body, seed):
    scene = make_scene(body, SUPERVISION, SETS, seed=seed)
    targets = crop_targets(scene.batch, SUPERVISION, CROP)
    points = ops.landmarks(targets.rotations, targets.betas, None, SUPERVISION.plan(body).terms)
    for person, name in enumerate(SETS):
        where = SUPERVISION.joint_map(name)
        known = targets.joints_3d_weights[person] > 0
        assert known.sum() == (len(where.rows) if where.root >= 0 else 0)
        relative = points[person] - points[person, where.root]
        torch.testing.assert_close(targets.joints_3d[person, known], relative[known], atol=1e-5, rtol=0)


def test_bodies_are_drawn_where_the_keypoints_are_if_the_axis_passes_through_the_crop(body):
    scene = make_scene(body, SUPERVISION, SETS, axis_through_crop=True)
    batch = scene.batch
    targets = crop_targets(batch, SUPERVISION, CROP)
    points = ops.landmarks(targets.rotations, targets.betas, None, SUPERVISION.plan(body).terms)
    root = SUPERVISION.base_root
    pelvis = scene.landmarks[:, root] * torch.tensor(
        [0.0, 0.0, 1.0]
    )  # on the axis, which neither mirror nor turn moves
    in_camera = points - points[:, root : root + 1] + pelvis[:, None]
    focal = batch.intrinsics[:, :2] * scene.zoom[:, None]
    center = ((torch.tensor(CROP) - 1) / 2).expand(len(batch), 2)
    seen = ops.project(in_camera, focal, center)
    known = targets.weights > 0
    torch.testing.assert_close(seen[known], targets.keypoints[known], atol=2e-3, rtol=0)


def test_rows_keep_their_meaning_in_the_mirror(body):
    """Only the left wrist is labelled: mirrored, it is the right one that the picture shows, at the same pixel
    mirrored.
    """
    scene = make_scene(body, SUPERVISION, ("coco17", "coco17"), augment=False)
    keypoints = torch.zeros_like(scene.batch.keypoints)
    keypoints[:, ROW["coco17/left_wrist"]] = torch.tensor([480.0, 410.0, 0.7])
    mirror = torch.tensor([True, False])
    matrix = torch.tensor([[[-0.5, 0, 300], [0, 0.5, -100]], [[0.5, 0, -150], [0, 0.5, -100]]])
    batch = replace(scene.batch, keypoints=keypoints, flip=mirror, matrix=matrix)
    targets = crop_targets(batch, SUPERVISION, CROP)
    right, left = ROW["coco17/right_wrist"], ROW["coco17/left_wrist"]
    assert targets.weights.nonzero().tolist() == [[0, right], [1, left]]
    assert targets.weights[0, right] == pytest.approx(0.7)
    assert targets.keypoints[0, right].tolist() == [60.0, 105.0]
    assert targets.keypoints[1, left].tolist() == [90.0, 105.0]
    # the network's right wrist learns from the row of the right wrist, whichever wrist was annotated
    names = pgtfast.skeletons.get("p2p25").joints
    rows = batch.position_row[0]
    assert rows[names.index("R_Wrist")] == right
    assert targets.weights[0, rows.clamp(min=0)][names.index("R_Wrist")] == pytest.approx(0.7)
    assert targets.weights[0, rows.clamp(min=0)][names.index("L_Wrist")] == 0


def test_mirrored_rotations_are_those_of_the_mirrored_body(body):
    scene = make_scene(body, SUPERVISION, SETS)
    batch = replace(scene.batch, rotation=torch.zeros(len(SETS)))
    got = crop_targets(batch, SUPERVISION, CROP).rotations
    plain = ops.rotvec_to_matrix(batch.pose)
    mirrored, _ = flip_body(plain, torch.zeros(len(SETS), 3), pgtfast.skeletons.get("smpl24").flip_permutation)
    wanted = torch.where(batch.flip[:, None, None, None], mirrored, plain)
    torch.testing.assert_close(got, wanted, atol=1e-6, rtol=0)


def test_turn_is_that_of_the_pixels(body):
    """A point to the right of the pelvis, turned by a quarter, is below it, in 2D and in 3D, and the body's root turns
    alike.
    """
    scene = make_scene(body, SUPERVISION, ("p2p25",), augment=False)
    quarter = torch.tensor([torch.pi / 2])
    joints = torch.zeros(1, len(SUPERVISION), 4)
    joints[..., 3] = 1
    joints[0, 1, 0] = 0.3
    matrix = torch.tensor([[[0.0, -1.0, 500.0], [1.0, 0.0, -400.0]]])
    batch = replace(scene.batch, rotation=quarter, joints_3d=joints, matrix=matrix, pose=torch.zeros(1, 24, 3))
    targets = crop_targets(batch, SUPERVISION, CROP)
    torch.testing.assert_close(targets.joints_3d[0, 1], torch.tensor([0.0, 0.3, 0.0]))
    assert matrix[0, :, 0].tolist() == [0.0, 1.0]
    torch.testing.assert_close(targets.rotations[0, 0, :, 0], torch.tensor([0.0, 1.0, 0.0]))
    torch.testing.assert_close(targets.rotations[0, 1:], torch.eye(3).expand(23, 3, 3))


def test_joints_without_a_known_pelvis_do_not_count(body):
    scene = make_scene(body, SUPERVISION, ("p2p25", "p2p25", "p2p25"))
    joints = scene.batch.joints_3d.clone()
    joints[1, SUPERVISION.base_root] = 0
    root = torch.tensor([SUPERVISION.base_root, SUPERVISION.base_root, -1])
    targets = crop_targets(replace(scene.batch, joints_3d=joints, root=root), SUPERVISION, CROP)
    assert targets.joints_3d_weights.sum(1).tolist() == [25, 0, 0]
    assert targets.joints_3d.isfinite().all()


def test_inside_is_the_area_of_the_pixels(body):
    scene = make_scene(body, SUPERVISION, ("coco17",), augment=False)
    keypoints = torch.zeros_like(scene.batch.keypoints)
    corners = [[-0.5, -0.5], [191.4, 255.4], [191.5, 0], [0, 255.5], [-0.6, 0], [0, -0.6]]
    keypoints[0, : len(corners), :2] = torch.tensor(corners)
    keypoints[0, : len(corners), 2] = 1
    keypoints[0, 6] = torch.tensor([50.0, 50.0, 0.0])
    matrix = torch.tensor([[[1.0, 0, 0], [0, 1.0, 0]]])
    inside = crop_targets(replace(scene.batch, keypoints=keypoints, matrix=matrix), SUPERVISION, CROP).inside
    assert inside[0, :7].tolist() == [True, True, False, False, False, False, False]


def test_what_is_unknown_stays_unknown(body):
    scene = make_scene(body, SUPERVISION, ("coco17", "h36m17"))
    batch = replace(
        scene.batch,
        keypoints=torch.zeros_like(scene.batch.keypoints),
        joints_3d=torch.zeros_like(scene.batch.joints_3d),
        has_pose=torch.zeros(2, dtype=torch.bool),
    )
    targets = crop_targets(batch, SUPERVISION, CROP)
    assert not targets.weights.any()
    assert not targets.inside.any()
    assert not targets.joints_3d_weights.any()
    assert not targets.has_pose.any()
    assert all(value.isfinite().all() for value in targets)


def test_optional_columns_travel_with_the_batch(body):
    batch = make_scene(body, SUPERVISION, ("coco17",)).batch
    assert batch.to("cpu").transl is not None
    assert replace(batch, transl=None).to("cpu").transl is None
