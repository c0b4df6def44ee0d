"""The four sets in the files of real data sets: what is projected lands where it should, and wild keeps its 3D to
itself."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from pgtfast.body import load_body
from pgtfast.cameras import body_to_camera
from pgtfast.datasets import open_dataset, read_coco_persons
from pgtfast.synth import WorldConfig, make_world, read_truth, studio
from pgtfast.synth.layouts import image_path

SIZE = (160, 144)
CONFIG = WorldConfig(images=10, studio=42, bridge=6, test=2, width=SIZE[0], height=SIZE[1], seed=2)


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("layouts") / "world"
    make_world(out, CONFIG, workers=0, progress=False)
    return out


@pytest.fixture(scope="module")
def body():
    return load_body("free").to(dtype=torch.float64)


def load(path: Path) -> dict:
    return json.loads(path.read_text())


def subject(made: Path, number: int, name: str) -> dict:
    return load(made / f"studio/annotations/Human36M_subject{number}_{name}.json")


def moments(made: Path):
    """Image, annotation, camera, joints and body of every picture of the studio."""
    for number in studio.SUBJECTS:
        data, cameras, joints, bodies = (
            subject(made, number, name) for name in ("data", "camera", "joint_3d", "SMPL_NeuralAnnot")
        )
        annotation = {a["image_id"]: a for a in data["annotations"]}
        for image in data["images"]:
            assert image["subject"] == number
            at = [str(image[key]) for key in ("action_idx", "subaction_idx", "frame_idx")]
            world, person = (file[at[0]][at[1]][at[2]] for file in (joints, bodies))
            camera = {k: np.array(v) for k, v in cameras[str(image["cam_idx"])].items()}
            yield image, annotation[image["id"]], camera, np.array(world), person


def test_every_set_has_its_pictures_its_mark_and_its_sheet(made):
    for kind, count in CONFIG.counts.items():
        mark = load(made / kind / "pgtfast_world.json")
        assert (mark["body"], mark["set"]) == ("free", kind)
        assert (made / kind / "contact_sheet.jpg").is_file()
        assert all((made / kind / image_path(kind, n)).is_file() for n in range(count))


def test_studio_joints_land_on_the_person(made):
    found = list(moments(made))
    assert len(found) == 42
    for image, annotation, camera, world, _ in found:
        assert (made / "studio/images" / image["file_name"]).is_file()
        assert world.shape == (17, 3)
        assert image["frame_idx"] % studio.FRAME_STEP == 0
        assert world[:, 2].min() > 0  # millimetres above the floor
        assert 400 < world[10, 2] < 2500
        point = world @ camera["R"].T + camera["t"]
        pixel = point[:, :2] / point[:, 2:] * camera["f"] + camera["c"]
        x, y, w, h = annotation["bbox"]
        inside = np.array(annotation["keypoints_vis"])
        assert (pixel[inside] > (x - 4, y - 4)).all()
        assert (pixel[inside] < (x + w + 4, y + h + 4)).all()
        assert w * h < 0.5 * SIZE[0] * SIZE[1]


def test_studio_cameras_are_rigid_and_stand_in_the_room(made):
    for number in studio.SUBJECTS:
        for camera in subject(made, number, "camera").values():
            rotation = np.array(camera["R"])
            np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=1e-12)
            assert np.linalg.det(rotation) == pytest.approx(1)
            place = -rotation.T @ np.array(camera["t"]) / 1000
            assert np.abs(place[:2]).max() < studio.HALF_ROOM
            assert 1 < place[2] < 2


def test_studio_bodies_in_the_world_make_the_joints_in_the_camera(made, body):
    plan = body.landmarks("h36m17")
    for _, _, camera, world, person in moments(made):
        pose, shape, trans = (torch.tensor(person[k], dtype=torch.float64) for k in ("pose", "shape", "trans"))
        rotation, translation = torch.from_numpy(camera["R"]), torch.from_numpy(camera["t"] / 1000)
        placed = body_to_camera(pose[:3], trans, body(betas=shape).joints[0], rotation, translation)
        got = plan(global_orient=placed.global_orient, body_pose=pose[3:], betas=shape, transl=placed.transl)
        wanted = world @ camera["R"].T / 1000 + camera["t"] / 1000
        np.testing.assert_allclose(got.numpy(), wanted, atol=1e-4)


def test_studio_has_few_people(made):
    shapes = {tuple(person["shape"]) for *_, person in moments(made)}
    assert len(shapes) == len({image["subject"] for image, *_ in moments(made)}) <= len(studio.SUBJECTS)


def test_bridge_bodies_reproject_on_the_person(made, body):
    content = load(made / "bridge/3DPW_train.json")
    images = {image["id"]: image for image in content["images"]}
    plan = body.landmarks("coco17")
    assert len(content["annotations"]) >= 5
    for annotation in content["annotations"]:
        image, param = images[annotation["image_id"]], annotation["smpl_param"]
        assert (made / "bridge/imageFiles" / image["sequence"] / image["file_name"]).is_file()
        assert param["gender"] == "neutral"
        pose, shape, trans = (torch.tensor(param[k], dtype=torch.float64) for k in ("pose", "shape", "trans"))
        point = plan(global_orient=pose[:3], body_pose=pose[3:], betas=shape, transl=trans).numpy()
        camera = image["cam_param"]
        pixel = point[:, :2] / point[:, 2:] * camera["focal"] + camera["princpt"]
        x, y, w, h = annotation["bbox"]
        middle = np.median(pixel, 0)
        # the box is that of what is seen
        assert (middle > (x - 0.6 * h, y - h)).all()
        assert (middle < (x + w + 0.6 * h, y + 2 * h)).all()


def test_bodies_of_the_truth_make_its_landmarks(made, body):
    truth = read_truth(made / "truth/wild.npz")
    plan = body.landmarks("coco17")
    pose = {
        k: torch.from_numpy(getattr(truth, k).astype(np.float64))
        for k in ("global_orient", "body_pose", "betas", "transl")
    }
    np.testing.assert_allclose(plan(**pose).numpy(), truth.landmarks, atol=1e-4)


def keys_in(value) -> set[str]:
    if isinstance(value, dict):
        return set(value) | {key for inner in value.values() for key in keys_in(inner)}
    return {key for inner in value for key in keys_in(inner)} if isinstance(value, list) else set()


@pytest.mark.parametrize("kind", ["wild", "test"])
def test_no_3d_beside_the_pictures_of_the_open_world(made, kind):
    files = [p for p in (made / kind).rglob("*") if p.is_file() and p.suffix != ".jpg"]
    assert {p.suffix for p in files} == {".json"}
    held = keys_in(load(made / kind / "annotations/person_keypoints_train2017.json"))
    assert held == {
        "info", "licenses", "images", "annotations", "categories", "description", "id", "name", "file_name", "width",
        "height", "license",
        "image_id", "category_id", "iscrowd", "bbox", "area", "num_keypoints", "keypoints", "supercategory", "skeleton",
    }  # fmt: skip
    cameras = load(made / kind / "cameras.json")
    assert all(set(camera) == {"focal", "center"} for camera in cameras.values())


@pytest.mark.parametrize("kind", ["wild", "test"])
def test_the_open_world_reads_as_coco_and_everyone_has_a_truth(made, kind):
    people = read_coco_persons(made / kind / "annotations/person_keypoints_train2017.json")
    truth = read_truth(made / f"truth/{kind}.npz")
    np.testing.assert_array_equal(people.annotation_id, truth.annotation_id)
    flags = people.keypoints[..., 2] * 2
    assert ((flags == truth.visibility) | (flags == 0)).all()
    cameras = load(made / kind / "cameras.json")
    for name, focal, center in zip(people.image_path, truth.focal, truth.center, strict=True):
        assert cameras[name] == {"focal": focal.tolist(), "center": center.tolist()}


def test_sets_open_as_the_real_ones_they_are_laid_out_as(made, body):
    for kind, layout in (("studio", "h36m"), ("wild", "coco"), ("bridge", "pw3d"), ("test", "coco")):
        people = open_dataset(layout, made / kind).people
        assert len(people) > 0
        assert all(reason is None for reason in people.reason)
        if layout == "coco":
            assert people.joints_3d is None
            assert people.body == {}
            continue
        assert people.body_model == "free"
        pose, betas, transl = (
            torch.from_numpy(c.astype(np.float64)) for c in (people.pose, people.body["betas"], people.body["transl"])
        )
        plan = body.landmarks(people.landmark_set)
        got = plan(global_orient=pose[:, :3], body_pose=pose[:, 3:], betas=betas, transl=transl).numpy()
        np.testing.assert_allclose(got, people.joints_3d, atol=1e-4)
