"""Datasets by kind and folder: every layout, and what is said when it is not there."""

from __future__ import annotations

import json
import logging
import tarfile
from pathlib import Path

import numpy as np
import pytest

from pgtfast._errors import PgtfastError
from pgtfast.body import load_body
from pgtfast.datasets import DATASETS, open_dataset
from pgtfast.datasets.h36m import read_h36m_spin
from pgtfast.datasets.mpi_inf_3dhp import read_mpi_inf_3dhp
from pgtfast.datasets.muco import read_muco
from pgtfast.datasets.mupots import read_mupots_sequences
from pgtfast.datasets.pw3d import read_pw3d_sequences
from tests.helpers import writers2d as write
from tests.helpers import writers3d

WILD = ("coco", "mpii", "lspet", "crowdpose", "instavariety", "up3d")


def make(kind: str, root: Path) -> Path:
    """A small dataset of the kind; returns the folder of its pictures."""
    if kind == "coco":
        content = write.coco_content("coco17")
        write.write_json(root / "annotations" / "person_keypoints_train2017.json", content)
        write.write_pictures(root / "train2017", content)
        return root / "train2017"
    if kind == "mpii":
        entries = [write.mpii_entry(1), write.mpii_entry(2)]
        write.write_json(root / "annot" / "train.json", entries)
        for entry in entries:
            write.write_picture(root / "images" / entry["image"])
    if kind == "crowdpose":
        content = write.coco_content("crowdpose14")
        write.write_pictures(root / "images", content)
        for image in content["images"]:
            image["width"], image["height"] = image["height"], image["width"]
        write.write_json(root / "json" / "crowdpose_train.json", content)
    if kind == "lspet":
        write.write_lspet(root)
    if kind == "instavariety":
        write.write_joblib(root / "insta_train_db.pt", write.insta_columns())
        for number in range(4):
            write.write_picture(root / "images" / f"train/walk.tfrecord/{number // 2}/{number % 2}.jpg")
    if kind == "up3d":
        write.write_up3d(root)
        return root
    return root / "images"


@pytest.mark.parametrize("kind", WILD)
def test_opens_every_wild_kind(tmp_path, kind):
    images = make(kind, tmp_path)
    opened = open_dataset(kind, tmp_path)
    assert (opened.images, opened.role, opened.use_3d) == (images, "wild", True)
    people = opened.people
    assert people.dataset == kind
    assert len(people) >= 2
    assert all(reason is None for reason in people.reason)
    for name, size in zip(people.image_path, people.image_size, strict=True):
        assert (images / name).is_file()
        assert size.tolist() in ([60, 40], [0, 0])
    assert open_dataset(kind, tmp_path, dataset="mine").people.dataset == "mine"


@pytest.mark.parametrize("kind", DATASETS)
def test_an_empty_folder_says_what_was_looked_for(tmp_path, kind):
    with pytest.raises(PgtfastError, match=f"no annotations of kind {kind}, split train; looked for: [^,]+"):
        open_dataset(kind, tmp_path)


@pytest.mark.parametrize(
    ("kind", "parts", "people", "usable"),
    [
        ("lspet", ("lspet_sample",), 60, 60),
        ("mpii", ("mmpose", "mpii"), 5, 5),
        ("crowdpose", ("mmpose", "crowdpose"), 5, 4),
    ],
)
def test_real_samples(kind, parts, people, usable):
    opened = open_dataset(kind, write.shared(*parts))
    assert (len(opened.people), sum(r is None for r in opened.people.reason)) == (people, usable)


def test_real_annotations_of_coco(tmp_path):
    content = json.loads(write.COCO.read_text())
    write.write_json(tmp_path / "annotations" / write.COCO.name, content)
    for image in content["images"]:
        write.write_picture(tmp_path / "train2017" / image["file_name"], (image["width"], image["height"]))
    opened = open_dataset("coco", tmp_path)
    assert (len(opened.people), sum(r is None for r in opened.people.reason)) == (172, 86)
    assert sum(reason is not None and reason.startswith("crowd") for reason in opened.people.reason) == 5
    assert opened.people.keypoints.shape == (172, 17, 3)


def test_wholebody_comes_first(tmp_path):
    make("coco", tmp_path)
    content = write.add_wholebody(write.coco_content("coco17"))
    write.write_json(tmp_path / "annotations" / "coco_wholebody_train_v1.0.json", content)
    assert open_dataset("coco", tmp_path).people.landmark_set == "coco_wholebody31"


def test_other_splits(tmp_path):
    content = write.coco_content("coco17")
    write.write_json(tmp_path / "person_keypoints_val2017.json", content)
    write.write_pictures(tmp_path / "images" / "val2017", content)
    assert open_dataset("coco", tmp_path, split="val").images == tmp_path / "images" / "val2017"
    with pytest.raises(PgtfastError, match=r"looked for: .*person_keypoints_train2017\.json"):
        open_dataset("coco", tmp_path)
    write.write_up3d(tmp_path / "up", split="test")
    assert len(open_dataset("up3d", tmp_path / "up", split="test").people) == 2


def test_a_set_of_one_split_is_no_other(tmp_path):
    """What was trained on must not come back as a test set, nor a test set as one to train on."""
    write.write_lspet(tmp_path / "lspet")
    writers3d.muco(tmp_path / "muco" / "MuCo-3DHP.json", writers3d.in_front())
    writers3d.mpi(tmp_path / "mpi_inf_3dhp" / "annotations", writers3d.scene(bodies=2))
    writers3d.mupots(tmp_path / "mupots" / "MuPoTS-3D.json", writers3d.in_front())
    write.write_studio(tmp_path / "h36m")
    write.write_mark(tmp_path / "h36m", "studio")
    for kind in ("lspet", "muco", "mpi_inf_3dhp", "h36m"):
        for split in ("val", "test"):
            with pytest.raises(PgtfastError, match=f"{kind}: split {split}: .* is of one split; ask for split train"):
                open_dataset(kind, tmp_path / kind, split=split)
    with pytest.raises(
        PgtfastError, match="mupots: split train: MuPoTS-3D, a set to test on, is of one split; ask for"
    ):
        open_dataset("mupots", tmp_path / "mupots")


def test_tars_where_no_folder_holds_the_pictures(tmp_path):
    images = make("coco", tmp_path)
    for name in ("b.tar", "a.tar"):
        with tarfile.open(tmp_path / name, "w") as tar:
            tar.add(images / "000.jpg", f"{name[0]}/000.jpg")
    assert open_dataset("coco", tmp_path).images == images
    for path in images.iterdir():
        path.unlink()
    assert open_dataset("coco", tmp_path).images == (tmp_path / "a.tar", tmp_path / "b.tar")


def test_missing_pictures(tmp_path, caplog):
    images = make("coco", tmp_path)
    (images / "001.jpg").unlink()
    with caplog.at_level(logging.WARNING):
        people = open_dataset("coco", tmp_path).people
    assert [r is None for r in people.reason] == [True, True, False]
    assert people.reason[2].startswith("missing-file")
    assert "1 of 3 people" in caplog.text
    (images / "000.jpg").unlink()
    with pytest.raises(
        PgtfastError, match=r"none of the images of coco is there, for example 000\.jpg; looked in: train2017/"
    ):
        open_dataset("coco", tmp_path)


def test_other_pictures_than_annotated(tmp_path):
    images = make("coco", tmp_path)
    for path in images.iterdir():
        write.write_picture(path, (120, 80))
    with pytest.raises(PgtfastError, match="2 are scaled"):
        open_dataset("coco", tmp_path)


def test_nobody_can_be_used(tmp_path):
    content = write.coco_content("coco17")
    for entry in content["annotations"]:
        entry.update(iscrowd=1)
    write.write_json(tmp_path / "annotations" / "person_keypoints_train2017.json", content)
    with pytest.raises(PgtfastError, match="none of 3 people of coco can be used; the first: crowd"):
        open_dataset("coco", tmp_path)


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        ("lsp", {}, "kind 'lsp' is not known; known are: h36m, mpi_inf_3dhp"),
        ("coco", {"split": "train2017"}, "split: wanted one of train, val, test"),
    ],
)
def test_wrong_arguments(tmp_path, kind, options, message):
    with pytest.raises(PgtfastError, match=message):
        open_dataset(kind, tmp_path, **options)
    with pytest.raises(PgtfastError, match="no such folder; wanted the root of a dataset of kind coco"):
        open_dataset("coco", tmp_path / "none")


def test_human36m(tmp_path):
    write.write_studio(tmp_path, subjects=(1, 9))
    opened = open_dataset("h36m", tmp_path)
    assert (opened.role, opened.people.body_model) == ("mocap", "smpl")
    assert opened.people.annotation_id.tolist() == [100, 105]
    assert np.isnan(opened.people.body["transl"]).all()
    write.write_studio(tmp_path / "train_only")
    with pytest.raises(PgtfastError, match="split test is of the subjects 9, 11, only 1 are there"):
        open_dataset("h36m", tmp_path / "train_only", split="test")


def test_a_free_world_brings_its_body(tmp_path):
    for kind, name, maker in (
        ("h36m", "studio", write.write_studio),
        ("pw3d", "bridge", write.write_bridge),
        ("coco", "wild", lambda root: make("coco", root)),
    ):
        maker(tmp_path / name)
        write.write_mark(tmp_path / name, name)
        people = open_dataset(kind, tmp_path / name).people
        assert people.dataset == f"free_{name}"
        assert len(people) == 3
        assert all(reason is None for reason in people.reason)
        if kind == "coco":
            assert people.body_model is None
            continue
        assert people.body_model == "free"
        assert np.isfinite(people.body["transl"]).all()
        assert np.isfinite(people.joints_3d).all()


def test_3dpw_takes_a_body(tmp_path):
    write.write_bridge(tmp_path, "validation")
    opened = open_dataset("pw3d", tmp_path, split="val")
    assert (opened.role, opened.images) == ("bridge", tmp_path / "imageFiles")
    assert opened.people.joints_3d is None
    people = open_dataset("pw3d", tmp_path, split="val", body=load_body("free")).people
    assert np.isfinite(people.joints_3d).all()
    assert (people.keypoints[..., 2] > 0).all()


@pytest.mark.parametrize("text", ["", "[]", '{"body": "smpl"}'])
def test_a_damaged_mark(tmp_path, text):
    make("coco", tmp_path)
    (tmp_path / "pgtfast_world.json").write_text(text)
    with pytest.raises(PgtfastError, match=r"pgtfast_world\.json: (damaged|body: wanted 'free')"):
        open_dataset("coco", tmp_path)


def fill_with_pictures(root: Path, opened_people) -> None:
    for name, size in zip(opened_people.image_path, opened_people.image_size, strict=True):
        write.write_picture(root / name, tuple(size.tolist()) if size.any() else (2048, 2048))


def test_mpi_inf_3dhp(tmp_path):
    writers3d.mpi(tmp_path / "annotations", writers3d.scene(bodies=2))
    people = read_mpi_inf_3dhp(tmp_path / "annotations")
    fill_with_pictures(tmp_path / "images_1k", people)
    opened = open_dataset("mpi_inf_3dhp", tmp_path)
    assert (opened.images, opened.role) == (tmp_path / "images_1k", "mocap")
    assert all(reason is None for reason in opened.people.reason)
    assert np.isnan(opened.people.body["transl"]).all()


def test_human36m_as_spin_has_it(tmp_path):
    sample = write.shared("mmpose", "h36m", "test_h36m.npz")
    (tmp_path / "h36m_train.npz").write_bytes(sample.read_bytes())
    with pytest.raises(PgtfastError, match="none of the images of h36m is there"):
        open_dataset("h36m", tmp_path)
    fill_with_pictures(tmp_path / "images", read_h36m_spin(sample))
    opened = open_dataset("h36m", tmp_path)
    assert (opened.images, opened.role) == (tmp_path / "images", "mocap")
    assert any(reason is None for reason in opened.people.reason)


def test_a_smaller_copy_of_pictures_of_unknown_size(tmp_path):
    """SPIN's files give no size: pictures of half of it must not be cropped at places of the whole."""
    sample = write.shared("mmpose", "h36m", "test_h36m.npz")
    (tmp_path / "h36m_train.npz").write_bytes(sample.read_bytes())
    for name in read_h36m_spin(sample).image_path:
        write.write_picture(tmp_path / "images" / name, (500, 501))
    with pytest.raises(
        PgtfastError, match=r"images: of 4 people of h36m looked at, [34] have keypoints outside .* a smaller copy"
    ):
        open_dataset("h36m", tmp_path)


def test_3dpw_sequences(tmp_path):
    writers3d.pw3d_sequence(tmp_path / "sequenceFiles" / "train" / "a.pkl", writers3d.scene(bodies=4))
    fill_with_pictures(tmp_path / "imageFiles", read_pw3d_sequences(tmp_path / "sequenceFiles" / "train"))
    opened = open_dataset("pw3d", tmp_path)
    assert (opened.images, opened.role) == (tmp_path / "imageFiles", "bridge")
    assert any(reason is None for reason in opened.people.reason)


def test_muco_and_mupots(tmp_path):
    path = writers3d.muco(tmp_path / "muco" / "MuCo-3DHP.json", writers3d.in_front())
    fill_with_pictures(tmp_path / "muco" / "data", read_muco(path))
    opened = open_dataset("muco", tmp_path / "muco")
    assert (opened.images, opened.role) == (tmp_path / "muco" / "data", "mocap")
    writers3d.mupots(tmp_path / "mupots" / "data" / "MuPoTS-3D.json", writers3d.in_front())
    images = tmp_path / "mupots" / "data" / "MultiPersonTestSet"
    write.write_picture(images / "TS1" / "img_000000.jpg", (1080, 1920))
    opened = open_dataset("mupots", tmp_path / "mupots", split="test")
    assert (opened.images, opened.role) == (images, "bridge")
    assert np.isfinite(opened.people.joints_3d[0]).all()


def test_mupots_as_it_is_given(tmp_path):
    folder = tmp_path / "MultiPersonTestSet"
    writers3d.mupots_mat(folder / "TS1" / "annot.mat", writers3d.in_front())
    for name in set(read_mupots_sequences(folder).image_path):
        write.write_picture(folder / name, (2048, 2048))
    assert open_dataset("mupots", tmp_path, split="test").images == folder
