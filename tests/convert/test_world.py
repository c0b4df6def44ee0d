"""Bodies in the world, as Human3.6M's and MPI-INF-3DHP's files have them: camera and pelvis."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from pgtfast import cameras
from pgtfast._errors import PgtfastError
from pgtfast.formats.columns import joined
from pgtfast.formats.neuralannot_world import H36M
from pgtfast.formats.notes import Notes
from pgtfast.formats.people_index import read_people
from pgtfast.people.table import objects
from tests.formats.synthetic import BODY, by_id, people, read, seen, with_parameters, write


def rotations(count: int, seed: int) -> np.ndarray:
    turned = np.linalg.qr(np.random.default_rng(seed).normal(size=(count, 3, 3)))[0]
    return turned * np.linalg.det(turned)[:, None, None]


@pytest.fixture(params=["h36m", "mpi-inf-3dhp"])
def case(request, tmp_path):
    """Two cameras that see the same three frames: data file, camera file, and the bodies in the first camera's space
    and in the second's."""
    h36m = request.param == "h36m"
    turned, moved = rotations(2, 1), np.array([[0.1, 0.2, 0.3], [0.4, -0.2, 1.0]])
    first = replace(people(3, an_image=1), annotation_id=np.array([10, 11, 12]))
    rest = BODY.to("cpu", torch.float64).joints_plan(betas=torch.from_numpy(first.body["betas"]))[:, 0]
    between = turned[1] @ turned[0].T
    second = cameras.body_to_camera(
        torch.from_numpy(first.pose[:, :3]),
        torch.from_numpy(first.body["transl"]),
        rest,
        torch.from_numpy(between),
        torch.from_numpy(moved[1] - between @ moved[0]),
    )
    other = replace(
        first,
        annotation_id=np.array([20, 21, 22]),
    )
    other = with_parameters(other, global_orient=second.global_orient.numpy(), transl=second.transl.numpy())
    focal, center = [1145.0, 1143.8], [512.5, 515.4]
    seen_by = {"focal": np.tile(focal, (3, 1)), "center": np.tile(center, (3, 1))}
    first, other = (
        replace(b, **seen_by, image_path=objects([f"c{cam}_{frame}.jpg" for frame in range(3)]))
        for cam, b in ((1, first), (2, other))
    )
    keys = ("action_idx", "subaction_idx") if h36m else ("subject_idx", "seq_idx")
    images, annotations = [], []
    for cam in (1, 2):
        for frame in range(3):
            number = 10 * cam + frame
            image = {
                "id": number,
                "file_name": f"c{cam}_{frame}.jpg",
                "width": 1000,
                "height": 1002,
                keys[0]: 2,
                keys[1]: 1,
                "cam_idx": cam,
                "frame_idx": 5 * frame,
            }
            images.append(image)
            annotations.append({"id": number, "image_id": number, "bbox": [0, 0, 10, 20]})
    held = {
        str(cam + 1): {
            "R": turned[cam].tolist(),
            "t": (1000 * moved[cam]).tolist(),
            ("f" if h36m else "focal"): focal,
            ("c" if h36m else "princpt"): center,
        }
        for cam in (0, 1)
    }
    data, camera = tmp_path / "data.json", tmp_path / "camera.json"
    data.write_text(json.dumps({"images": images, "annotations": annotations}))
    camera.write_text(json.dumps(held if h36m else {"2": {"1": held}}))
    return request.param, data, camera, first, other


def test_every_camera_sees_the_frame_where_it_is(case, tmp_path):
    variant, data, camera, first, other = case
    index = read_people(data, dataset="a", variant=variant, cameras=camera)
    notes = Notes()
    path = tmp_path / "w.json"
    write(H36M, path, first, people=index, body=BODY, notes=notes)
    content = json.loads(path.read_text())
    assert list(content) == ["2"]
    assert list(content["2"]["1"]) == ["0", "5", "10"]
    assert set(content["2"]["1"]["5"]) == {"pose", "shape", "trans"}
    back = by_id(read(H36M, path, people=index, body=BODY, notes=notes))
    assert back.annotation_id.tolist() == [10, 11, 12, 20, 21, 22]
    for mine, theirs in ((first, back.rows(slice(0, 3))), (other, back.rows(slice(3, 6)))):
        assert np.abs(seen(theirs) - seen(mine)).max() < 1e-4  # px
    assert not notes.lines()


def test_the_command_goes_both_ways(case, world):
    variant, data, camera, first, other = case
    more = ("--people", data, "--cameras", camera, "--body", "free")
    both = world.store("run", first.rows(slice(None)))
    out = world.run(both, world.root / "w.json", "--to", "neuralannot", "--variant", variant, *more)
    assert "3 written" in out
    out = world.run(world.root / "w.json", world.root / "back", "--to", "parquet", "--variant", variant, *more)
    back = world.read(world.root / "back")
    assert np.abs(seen(back.rows(slice(3, 6))) - seen(other)).max() < 1e-2  # float32 of the store
    out = world.run(
        world.root / "w.json", world.root / "itw.json", "--to", "neuralannot", "--src-variant", variant, *more
    )
    assert "6 written" in out
    assert world.code == 0
    content = json.loads((world.root / "w.json").read_text())
    content["2"]["1"]["7777"] = content["2"]["1"]["5"]
    (world.root / "more.json").write_text(json.dumps(content))
    out = world.run(world.root / "more.json", world.root / "b", "--to", "parquet", "--variant", variant, *more)
    assert "not matched: 1 frames have no annotated image in --people; first: 2/1/7777" in out
    assert world.code == 1
    with pytest.raises(PgtfastError, match="need --people, --cameras and --body"):
        world.run(world.root / "w.json", world.root / "c", "--to", "parquet", "--variant", variant)
    with pytest.raises(PgtfastError, match="wanted smpl_param, smplx_param"):
        world.run(world.root / "w.json", world.root / "c", "--to", "parquet")


def test_bodies_of_one_frame_that_differ_are_told(case, world):
    variant, data, camera, first, other = case
    off = with_parameters(other, transl=other.body["transl"] + np.array([0.05, 0, 0]))
    source = world.store("run", joined([first, off]))
    out = world.run(
        source,
        world.root / "w.json",
        "--to",
        "neuralannot",
        "--variant",
        variant,
        "--people",
        data,
        "--cameras",
        camera,
        "--body",
        "free",
    )
    assert "3 written" in out
    assert "3 people differ from what another camera has of the same frame" in out
    assert "0.05 m apart" in out


def test_frames_and_images_that_do_not_meet_are_told(case, world):
    variant, data, camera, first, _ = case
    more = ("--people", data, "--cameras", camera, "--body", "free", "--variant", variant)
    world.run(world.store("run", first), world.root / "w.json", "--to", "neuralannot", *more)
    content = json.loads((world.root / "w.json").read_text())
    content["2"]["1"]["77"] = content["2"]["1"].pop("5")
    (world.root / "w2.json").write_text(json.dumps(content))
    out = world.run(world.root / "w2.json", world.root / "back", "--to", "parquet", *more)
    assert "1 frames have no annotated image in --people; first: 2/1/77" in out
    assert "2 annotated images have no frame in the file; first: annotation 11" in out
    del content["2"]["1"]["0"]["trans"]
    (world.root / "w3.json").write_text(json.dumps(content))
    with pytest.raises(PgtfastError, match="id 2/1/0: trans: wanted 3 finite numbers"):
        world.run(world.root / "w3.json", world.root / "back3", "--to", "parquet", *more)
    assert not (world.root / "back3").exists()
