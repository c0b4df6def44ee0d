"""Truncated, damaged and hostile files of every format give one clear error, and leave nothing behind."""

from __future__ import annotations

import io
import json
import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pgtfast._errors import PgtfastError
from pgtfast.files.unpickle import RefusedPickle
from pgtfast.formats.humandata import HUMANDATA
from tests.formats.synthetic import people, with_keypoints, write
from tests.helpers.pickles import hostile
from tests.helpers.tars import write_tar

FILES = {
    "neuralannot": "a.json",
    "eft": "e.json",
    "spin": "s.npz",
    "cliff": "l.npz",
    "camsmplify": "c.npz",
    "bedlam": "b.npz",
    "humandata": "h.npz",
    "4dhumans": "d.tar",
}


def written(world, to: str) -> Path:
    bodies = with_keypoints(people(3, an_image=1))
    world.run(world.store("run", bodies), world.root / FILES[to], "--to", to, "--images", world.pictures(bodies))
    return world.root / FILES[to]


def refuses(world, path: Path, source: str, match: str | None = None) -> str:
    with pytest.raises(PgtfastError, match=match) as caught:
        world.run(path, world.root / "out", "--to", "parquet", "--from", source)
    assert not (world.root / "out").exists()
    assert not [p for p in world.root.iterdir() if p.name.startswith(".")]
    return str(caught.value)


@pytest.mark.parametrize("source", FILES)
def test_truncated_files(world, source):
    path = written(world, source)
    data = path.read_bytes()
    for share in (0, 0.02, 0.5, 0.9):
        path.write_bytes(data[: int(share * len(data))])
        message = refuses(world, path, source)
        assert path.name in message
        assert "ownload it again" in message or "opy it again" in message or "Copy" in message


@pytest.mark.parametrize("source", FILES)
def test_other_content(world, source):
    path = world.root / FILES[source]
    for data in (b"", b"\x93NUMPY\x01\x00", b"PK\x03\x04" + b"\x00" * 40, b'{"data": 3}', b"[]", b"\xff" * 300):
        path.write_bytes(data)
        assert path.name in refuses(world, path, source)


def _npy(payload: bytes) -> bytes:
    """An .npy whose object array is a pickle of our choosing."""
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, {"descr": "|O", "fortran_order": False, "shape": ()})
    return file.getvalue() + payload


@pytest.mark.parametrize("source", ["spin", "cliff", "camsmplify", "bedlam", "humandata"])
def test_hostile_objects_in_npz(world, source):
    import zipfile

    marker = world.root / "ran"
    path = written(world, source)
    held = sorted(np.load(path, allow_pickle=False).files)
    for name in ("reduce-system-2", "global-posix", "stack-global", "newobj", "obj"):
        payload, _ = hostile(str(marker))[name]
        for key in ("image_path" if "image_path" in held else "imgname", held[-1]):
            with zipfile.ZipFile(path) as old:
                content = {member: old.read(member) for member in old.namelist()}
            content[f"{key}.npy"] = _npy(payload)
            evil = world.root / f"evil-{path.name}"
            with zipfile.ZipFile(evil, "w") as new:
                for member, data in content.items():
                    new.writestr(member, data)
            with pytest.raises(RefusedPickle, match="nothing was executed"):
                world.run(evil, world.root / "out", "--to", "parquet", "--from", source)
            assert not marker.exists()


def test_hostile_pickles_in_tars_and_results(world):
    marker = world.root / "ran"
    for name, (payload, refused) in hostile(str(marker)).items():
        if "reduce" in name and not name.endswith(("-0", "-4")):
            continue
        tar = write_tar(world.root / "evil.tar", {"a.data.pyd": payload})
        with pytest.raises(RefusedPickle, match="nothing was executed"):
            world.run(tar, world.root / "out", "--to", "parquet")
        folder = world.root / "results" / "img"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "000.pkl").write_bytes(payload)
        with pytest.raises(RefusedPickle, match="nothing was executed"):
            world.run(world.root, world.root / "out", "--to", "parquet", "--from", "smplify-x")
        assert not marker.exists(), (name, refused)


def test_people_of_tars_that_are_damaged(world):
    good = {"center": np.zeros(2), "scale": np.ones(2), "body_pose": np.zeros(72), "betas": np.zeros(10)}
    for change, message in (
        ({"center": None}, "key 'center'"),
        ({"scale": np.zeros(2)}, "key 'scale': wanted a size above 0"),
        ({"body_pose": np.zeros(71)}, "key 'body_pose'"),
        ({"body_pose": np.full(72, np.nan)}, "not finite"),
        ({"betas": "text"}, "key 'betas'"),
        ({"keypoints_2d": np.zeros((43, 3))}, "key 'keypoints_2d'"),
    ):
        tar = write_tar(world.root / "d.tar", {"a.data.pyd": pickle.dumps([good | change])})
        assert "person 0" in refuses(world, tar, "4dhumans", message)
    refuses(
        world,
        write_tar(world.root / "d.tar", {"a.data.pyd": pickle.dumps({"a": 1})}),
        "4dhumans",
        "wanted a list of people",
    )
    refuses(world, write_tar(world.root / "d.tar", {"a.txt": b""}), "4dhumans", "nobody to write")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda e: e["smpl_param"].pop("trans"), r"id 107: smpl_param.trans: wanted 3 finite numbers, got None"),
        (lambda e: e["smpl_param"]["pose"].append(1), r"id 107: smpl_param.pose: wanted 72 finite numbers"),
        (lambda e: e["cam_param"]["focal"].__setitem__(0, float("nan")), r"id 107: cam_param.focal: wanted 2"),
        (lambda e: e["smpl_param"]["shape"].__setitem__(0, "1"), r"id 107: smpl_param.shape"),
        (lambda e: e["smpl_param"]["shape"].__setitem__(0, None), r"id 107: smpl_param.shape"),
        (lambda e: e.__setitem__("smpl_param", []), r"id 107: smpl_param.pose"),
        (lambda e: e["smpl_param"].__setitem__("gender", "x"), r"id 107: gender: wanted male, female or neutral"),
    ],
)
def test_entries_of_neuralannot_that_are_damaged(world, change, message):
    path = written(world, "neuralannot")
    content = json.loads(path.read_text())
    change(content["107"])
    path.write_text(json.dumps(content))
    refuses(world, path, "neuralannot", message)


def test_keys_of_neuralannot(world):
    path = written(world, "neuralannot")
    content = json.loads(path.read_text())
    content["107"] |= {"fit_err": 2.5, "note": {"a": [1, "x"]}}
    path.write_text(json.dumps(content, indent=2))
    out = world.run(path, world.root / "ok", "--to", "parquet")
    assert "ignored: key 'fit_err' of 1 entries" in out
    assert "ignored: key 'note' of 1 entries" in out
    content["0107"] = content["107"]
    path.write_text(json.dumps(content))
    refuses(world, path, "neuralannot", "annotation id 107 is there twice")
    content["walking"] = content.pop("0107")
    path.write_text(json.dumps(content))
    refuses(world, path, "neuralannot", "key 'walking': wanted an annotation id")
    text = json.dumps(content)
    path.write_text("{" + text[1:-1].replace('"walking"', '"107"') + "}")
    refuses(world, path, "neuralannot", "annotation id 107 is there twice")


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("parm_pose", [[[1, 0, 0], [0, 1, 0], [0, 0, 2]]] * 24, "wanted rotation matrices"),
        ("parm_pose", [[1, 0, 0]] * 24, "parm_pose: wanted 24 x 3 x 3 finite numbers"),
        ("parm_cam", [0, 0, 0], "wanted a box and a scale above 0"),
        ("bbox_scale", -1, "wanted a box and a scale above 0"),
        ("imageName", 3, "imageName: wanted text"),
        ("smpltype", "smplx", "SMPL-X is not exchangeable"),
        ("parm_shape", [0] * 9, "parm_shape: wanted 10"),
    ],
)
def test_entries_of_eft_that_are_damaged(world, key, value, message):
    path = written(world, "eft")
    content = json.loads(path.read_text())
    content["data"][1][key] = value
    path.write_text(json.dumps(content))
    refuses(world, path, "eft", f"id data/1: .*{message}")


def test_columns_of_npz_that_are_damaged(world):
    path = written(world, "bedlam")
    held = dict(np.load(path))
    for key, value, message in (
        ("pose_cam", held["pose_cam"][:, :70], r"wanted 72 \(smpl\), 66 \(smplx\), 165 \(smplx\) numbers"),
        ("shape", held["shape"][:2], r"key 'shape': wanted numbers of shape \(3, \?\)"),
        ("scale", -held["scale"], "key 'scale': row"),
        ("center", np.array([["a", "b"]] * 3), "key 'center'"),
        ("cam_int", held["cam_int"] + 1, "wanted .*fx, 0, cx"),
        ("trans_cam", held["trans_cam"] * np.inf, "not finite"),
        ("gender", np.array(["x"] * 3), "wanted male, female or neutral"),
        ("imgname", np.array(["", "a", "b"]), "wanted text"),
        ("imgname", np.zeros(3), "wanted text"),
    ):
        np.savez(path, **(held | {key: value}))
        refuses(world, path, "bedlam", message)
    del held["cam_int"]
    np.savez(path, **held)
    refuses(world, path, "bedlam", "key 'cam_int' is missing")


def test_body_models_do_not_mix(world):
    smplx = replace(people(3, an_image=1, model="smplx"))
    path = write(HUMANDATA, world.root / "x.npz", smplx)
    people_file = world.coco(smplx)
    for to, name in (
        ("eft", "o.json"),
        ("spin", "o.npz"),
        ("cliff", "o.npz"),
        ("4dhumans", "o.tar"),
        ("camsmplify", "o.npz"),
    ):
        with pytest.raises(
            PgtfastError, match=f"holds 'smplx' parameters and --to {to} holds smpl or free ones; .*not exchangeable"
        ):
            world.run(path, world.root / name, "--to", to, "--people", people_file)
    with pytest.raises(PgtfastError, match=r"holds SMPL-X parameters .*, not 'smpl' ones"):
        world.run(path, world.root / "o", "--to", "parquet", "--body-model", "smpl")
    mine = written(world, "neuralannot")
    for model, match in (("smplx", r"holds SMPL parameters .*, not 'smplx' ones"),):
        with pytest.raises(PgtfastError, match=match):
            world.run(mine, world.root / "o.npz", "--to", "humandata", "--body-model", model)
    with pytest.raises(PgtfastError, match=r"is a 'free' body, the parameters of .* are 'smpl' ones"):
        world.run(mine, world.root / "o", "--to", "parquet", "--body", "free")
    assert not list(world.root.glob("o*"))


def test_latents_need_their_version(world):
    rng = np.random.default_rng(0)
    folder = world.root / "sx" / "results" / "000001"
    folder.mkdir(parents=True)
    held = {
        "camera_rotation": np.eye(3)[None],
        "camera_translation": np.array([[0, 0.2, 20.0]]),
        "betas": np.zeros((1, 10)),
        "global_orient": np.array([[3.1, 0, 0]]),
    }
    latent = rng.normal(size=(1, 32)).astype(np.float32)
    (folder / "000.pkl").write_bytes(
        pickle.dumps(
            held | {"body_pose": latent, "jaw_pose": np.zeros((1, 3)), "left_hand_pose": np.zeros((1, 6))}, protocol=2
        )
    )
    with pytest.raises(PgtfastError, match=r"32-number latent of a VPoser.* --prior-version"):
        world.run(world.root / "sx", world.root / "a.npz", "--to", "humandata")
    with pytest.raises(PgtfastError, match=r"is 'free.*', not 'vposer-v1'"):
        world.run(
            world.root / "sx",
            world.root / "a.npz",
            "--to",
            "humandata",
            "--prior",
            "free",
            "--prior-version",
            "vposer-v1",
        )
    from pgtfast import load_vposer, reference

    prior = load_vposer("free")
    out = world.run(
        world.root / "sx",
        world.root / "a.npz",
        "--to",
        "humandata",
        "--prior",
        "free",
        "--prior-version",
        prior.version,
    )
    assert "1 latents are decoded with prior" in out
    assert "ignored: 'left_hand_pose' of 1 results" in out
    assert "not held by humandata: latent of 1 people" in out
    import torch

    pose = np.load(world.root / "a.npz", allow_pickle=True)["smplx"].item()["body_pose"]
    with torch.no_grad():
        wanted = prior.decode(torch.from_numpy(latent))[0].double()
    np.testing.assert_allclose(reference.rotvec_to_matrix(torch.from_numpy(pose[0])), wanted, atol=1e-5)


def test_sam3d_body(world):
    rng = np.random.default_rng(0)
    count = 5
    columns = {
        "dataset": ["coco"] * count,
        "image": [f"COCO_train2014_{row // 2:012d}.jpg" for row in range(count)],
        "person_id": list(range(count)),
        "keypoints_2d": rng.uniform(0, 500, (count, 70, 3)).tolist(),
        "keypoints_3d": rng.normal(size=(count, 70, 4)).tolist(),
        "cam_int": np.tile(np.array([[600.0, 0, 320], [0, 600, 240], [0, 0, 1]]), (count, 1, 1)).tolist(),
        "bbox": [[10.0, 20, 110, 220]] * count,
        "bbox_format": ["xyxy"] * count,
        "body_pose_params": rng.normal(size=(count, 133)).tolist(),
        "shape_params": rng.normal(size=(count, 45)).tolist(),
        "mhr_valid": [True] * count,
    }
    path = world.root / "000000.parquet"
    pq.write_table(pa.table(columns), path)
    out = world.run(path, world.root / "out", "--to", "parquet")
    for name in ("body_pose_params", "shape_params", "mhr_valid", "keypoints_3d"):
        assert f"ignored: column '{name}' of 5 people" in out
    back = world.read(world.root / "out")
    assert back.body_model is None
    assert not back.has_body.any()
    assert back.bbox[0].tolist() == [10, 20, 100, 200]
    assert back.focal.tolist() == [[600, 600]] * count
    assert back.landmark_set == "mhr70"
    np.testing.assert_allclose(back.keypoints, columns["keypoints_2d"], rtol=1e-6)
    with pytest.raises(PgtfastError, match="holds no body that --to eft has a place for"):
        world.run(path, world.root / "e.json", "--to", "eft")
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(PgtfastError, match="not a readable Parquet file"):
        world.run(path, world.root / "o", "--to", "parquet")
    pq.write_table(pa.table({"image": ["a"]}), path)
    with pytest.raises(PgtfastError, match="column 'keypoints_2d' is missing"):
        world.run(path, world.root / "o", "--to", "parquet", "--from", "sam3dbody")
