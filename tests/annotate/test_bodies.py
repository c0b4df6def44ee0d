"""From the crop's camera to that of the whole image, and what measures the bodies."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from pgtfast import Camera, ops
from pgtfast.annotate._bodies import Measured, find_bodies, full_camera
from pgtfast.annotate._network import open_network
from pgtfast.images.crops import crop_boxes, crop_matrices
from pgtfast.loading import Batch
from pgtfast.loading.bulk import PersonCrops
from pgtfast.networks import Annotator, NetworkConfig
from pgtfast.networks.files import save_annotator

CONFIG = NetworkConfig(depth=18, width=8, input_size=(96, 128), mode="faithful", normalize="unit")
BOXES = np.array([[10.0, 20, 60, 90], [100, 50, 200, 80], [-20, -10, 100, 300]])
SIZE = np.array([[320, 240]] * 3)


@pytest.fixture(scope="module", params=["vposer", "rotations"])
def network(request, tmp_path_factory):
    path = tmp_path_factory.mktemp("network") / "annotator.ckpt"
    torch.manual_seed(0)
    config = NetworkConfig(**{**CONFIG.__dict__, "head": request.param})
    save_annotator(path, Annotator(config), sets=("p2p25", "coco17"))
    return open_network(str(path), "torch", torch.device("cpu"))


def batch() -> Batch:
    boxes = crop_boxes(BOXES, SIZE, CONFIG.input_size)
    count = len(boxes)
    one, none = np.ones(count), np.zeros(count)
    matrix = crop_matrices(boxes, SIZE[:, 0], CONFIG.input_size, scale=one, rotation=none, flip=none > 0)
    known = {"joints_3d": (17, 4), "pose": (24, 3), "betas": (10,), "keypoints": (17, 3)}
    rows = {"root": (), "position_row": (25,), "set_index": (), "person": ()}
    make = torch.Generator().manual_seed(0)
    return Batch(
        image=torch.rand(count, 3, CONFIG.input_size[1], CONFIG.input_size[0], generator=make),
        matrix=torch.from_numpy(matrix).float(),
        flip=torch.zeros(count, dtype=torch.bool),
        rotation=torch.zeros(count),
        box=torch.from_numpy(boxes).float(),
        size=torch.from_numpy(SIZE).float(),
        has_pose=torch.zeros(count, dtype=torch.bool),
        has_betas=torch.zeros(count, dtype=torch.bool),
        **{name: torch.zeros(count, *shape) for name, shape in known.items()},
        **{name: torch.zeros(count, *shape, dtype=torch.int64) for name, shape in rows.items()},
    )


def test_the_camera_of_the_image_is_that_of_the_processed_box(network):
    held = batch()
    bodies = network(held.image)
    camera = full_camera(bodies, held)
    boxed = Camera.from_crop(
        held.box, held.size, crop_size=CONFIG.input_size, focal=bodies.focal.tolist(), center=bodies.center.tolist()
    )
    torch.testing.assert_close(camera.focal, boxed.focal, rtol=1e-5, atol=1e-2)
    torch.testing.assert_close(camera.center, boxed.center, rtol=0, atol=1e-3)


def test_a_body_is_where_the_crop_shows_it(network):
    held = batch()
    measured = Measured.of("coco17", network)
    found = find_bodies(held, network, measured).result()
    bodies = network(held.image)
    crop = Camera(bodies.focal.float(), bodies.center.float(), torch.tensor(CONFIG.input_size).float())
    points = network.body.landmarks("coco17")(
        global_orient=torch.from_numpy(found["global_orient"]), body_pose=torch.from_numpy(found["body_pose"]),
        betas=torch.from_numpy(found["betas"]), transl=torch.from_numpy(found["transl"]),
    )  # fmt: skip
    there = crop.project(points)
    back = torch.einsum("bij,bkj->bki", held.matrix[:, :, :2], torch.from_numpy(found["projected"]).float())
    torch.testing.assert_close(back + held.matrix[:, None, :, 2], there, rtol=1e-4, atol=1e-2)
    assert found["valid"].all()
    assert (found["latent"] is None) == (network.config.head == "rotations")
    assert np.isfinite(found["prior_energy"]).all()


def test_the_mirrored_crop_disagrees_as_much_the_other_way_round(network):
    held = batch()
    measured = Measured.of("coco17", network)
    mine = find_bodies(held, network, measured, flip_test=True).result()["flip_disagreement_mm"]
    mirrored = Batch(**{**held.__dict__, "image": held.image.flip(-1)})
    theirs = find_bodies(mirrored, network, measured, flip_test=True).result()["flip_disagreement_mm"]
    np.testing.assert_allclose(mine, theirs, rtol=2e-2)
    same = Batch(**{**held.__dict__, "image": (held.image + held.image.flip(-1)) / 2})
    assert (
        find_bodies(same, network, measured, flip_test=True).result()["flip_disagreement_mm"] > 1
    ).all()  # untrained: never symmetric


def test_keypoints_of_a_set_that_the_body_lacks_are_matched_by_name(network):
    assert "mpii16" not in network.body.landmark_sets
    measured = Measured.of("mpii16", network)
    assert len(measured.rows) >= 12
    found = find_bodies(batch(), network, measured).result()
    missing = np.isnan(found["projected"]).any((0, 2))
    assert found["projected"].shape[1] == 16
    assert missing.sum() == 16 - len(measured.rows)


def moved_keypoints(found, seed: int = 0) -> torch.Tensor:
    """(B, 17, 3): where the bodies are seen, moved by some 6 % of the box each; nobody labelled the last person."""
    noise = np.random.default_rng(seed).normal(0, 0.04, found["projected"].shape) + 0.04
    points = found["projected"] + noise * BOXES[:, None, 2:].max(-1, keepdims=True)
    confidence = np.ones((*points.shape[:2], 1))
    confidence[-1] = 0
    return torch.from_numpy(np.concatenate([points, confidence], -1)).float()


def test_refinement_moves_bodies_towards_their_keypoints(network):
    held, measured = batch(), Measured.of("coco17", network)
    plain = find_bodies(held, network, measured).result()
    keypoints = moved_keypoints(plain)
    refined = find_bodies(held, network, measured, keypoints=keypoints, steps=20).result()

    def error(found):
        return np.linalg.norm(found["projected"] - keypoints[..., :2].numpy(), axis=-1).mean(1)

    assert (error(refined)[:2] < 0.8 * error(plain)[:2]).all()
    assert refined["valid"].all()
    for name, values in plain.items():
        if values is not None and values.ndim > 1:
            np.testing.assert_allclose(refined[name][2], values[2], rtol=1e-4, atol=1e-4)
    turned = np.linalg.norm(refined["body_pose"] - plain["body_pose"], axis=1)[:2]
    assert (turned > 1e-3).all()
    assert (turned < 1).all(), "the network's pose is held to"
    if refined["latent"] is not None:
        decoded = network.prior.decode(torch.from_numpy(refined["latent"]))
        found = ops.rotvec_to_matrix(torch.from_numpy(refined["body_pose"]).unflatten(-1, (-1, 3)))[:, :21]
        torch.testing.assert_close(decoded, found, rtol=0, atol=1e-4)


def test_nobodys_refinement_depends_on_who_else_is_there(network):
    held, measured = batch(), Measured.of("coco17", network)
    keypoints = moved_keypoints(find_bodies(held, network, measured).result())
    whole = find_bodies(held, network, measured, keypoints=keypoints, steps=5).result()
    parts = {name: getattr(held, name)[:1] for name in ("image", "matrix", "size")}
    one = PersonCrops(**parts, shard=np.zeros(1, np.int64), row=np.zeros(1, np.int64))
    alone = find_bodies(one, network, measured, keypoints=keypoints[:1], steps=5).result()
    np.testing.assert_allclose(alone["transl"][0], whole["transl"][0], rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(alone["body_pose"][0], whole["body_pose"][0], atol=5e-3)


def test_jitter_is_what_the_network_changes_its_mind_by_when_the_crop_moves(network):
    held = batch()
    measured = Measured.of("coco17", network)
    assert find_bodies(held, network, measured).result()["jitter_mm"] is None
    assert (find_bodies(held, network, measured, jitter=3).result()["jitter_mm"] > 0).all()
    # all places of an even picture look alike
    held.image[:] = 0.5
    np.testing.assert_allclose(find_bodies(held, network, measured, jitter=3).result()["jitter_mm"], 0, atol=1e-3)
