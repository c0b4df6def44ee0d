"""Files made from the published layouts, not by our writers: every value is where the layout has it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pgtfast.formats import registry
from pgtfast.formats.people_index import read_people
from tests.formats.synthetic import read

FOLDER = Path(__file__).parents[1] / "golden" / "formats"
BOX = [100 - 125, 120 - 125, 250, 250]
"""Around (100, 120), of scale 1.25 in units of 200 pixels."""


def ramp(size, start=0.0):
    return start + 0.01 * np.arange(size)


def people_of(name, format, **context):
    found = registry.source_of(None, "itw", FOLDER / name)
    assert found.name == format
    return read(found, FOLDER / name, **context)


def is_smpl(people, *, transl=None, rtol=1e-12):
    np.testing.assert_allclose(people.pose, [ramp(72)], rtol=rtol)
    np.testing.assert_allclose(people.body["betas"], [ramp(10, 1)], rtol=rtol)
    assert people.body_model == "smpl"
    if transl is None:
        assert "transl" not in people.body
    else:
        assert people.body["transl"].tolist() == [transl]


def is_whole(people, *, rtol=1e-12, without=()):
    wanted = {
        "global_orient": ramp(3),
        "body_pose": ramp(63, 1),
        "betas": ramp(10, 2),
        "left_hand_pose": ramp(45, -1),
        "right_hand_pose": ramp(45, -2),
        "jaw_pose": [0.3, 0, 0.1],
        "expression": ramp(10, 3),
    }
    assert people.body_model == "smplx"
    for name in wanted.keys() - set(without):
        np.testing.assert_allclose(people.body[name], [wanted[name]], rtol=rtol, atol=1e-12, err_msg=name)
    assert not set(without) & set(people.body)


def is_before_camera(people):
    assert people.focal.tolist() == [[1000.5, 1001.5]]
    assert people.center.tolist() == [[320.25, 240.75]]


def test_neuralannot():
    people = people_of("MSCOCO_train_SMPL_NeuralAnnot.json", "neuralannot")
    assert people.annotation_id.tolist() == [183545]
    assert people.gender.tolist() == ["neutral"]
    is_smpl(people, transl=[0.1, -0.2, 30.5])
    is_before_camera(people)


def test_neuralannot_of_whole_bodies():
    people = people_of("MSCOCO_train_SMPLX_all_NeuralAnnot.json", "neuralannot")
    assert people.annotation_id.tolist() == [476384]
    assert people.body["transl"].tolist() == [[0.1, -0.2, 30.5]]
    assert people.flat_hand_mean is False
    is_whole(people)
    is_before_camera(people)


def test_neuralannot_of_3dpw():
    people = people_of("3DPW_train_SMPLX_NeuralAnnot.json", "neuralannot")
    assert people.annotation_id.tolist() == [7]
    is_whole(people, without=("left_hand_pose", "right_hand_pose", "jaw_pose", "expression"))
    assert people.flat_hand_mean is None
    assert np.isnan(people.focal).all()


def test_eft():
    people = people_of("COCO2014-Part-ver01.json", "eft")
    assert people.annotation_id.tolist() == [183545]
    assert people.image_path.tolist() == ["COCO_train2014_000000000036.jpg"]
    assert people.bbox.tolist() == [[200 - 150, 150 - 150, 300, 300]]
    np.testing.assert_allclose(people.pose[0, :3], [0, 0, np.pi / 2], atol=1e-12)
    assert not people.pose[0, 3:].any()
    np.testing.assert_allclose(people.body["betas"], [ramp(10)])
    # scale * X + translation spans -1 to 1 over the box; the fits' camera has 5000 pixels of focal length in a
    # crop of 224
    np.testing.assert_allclose(people.body["transl"], [[0.08 / 0.8, -0.16 / 0.8, 2 * 5000 / (224 * 0.8)]])
    np.testing.assert_allclose(people.focal, [[5000 * 300 / 224] * 2])
    assert people.center.tolist() == [[200, 150]]


def test_spin():
    people = people_of("coco_2014_train.npz", "spin")
    is_smpl(people)
    assert people.gender.tolist() == ["female"]
    assert people.image_path.tolist() == ["train2014/a.jpg"]
    assert people.bbox.tolist() == [BOX]
    assert not people.keyed
    assert people.landmark_set == "spin24"
    assert people.keypoints[0, 3].tolist() == [11, 12, 1]
    fits = people_of("coco_fits.npy", "spin", people=read_people(FOLDER / "coco_2014_train.npz", dataset="a"))
    is_smpl(fits)


def test_cliff():
    people = people_of("coco2014part_cliffGT.npz", "cliff")
    is_smpl(people, transl=[0.1, -0.2, 5.5])
    assert people.annotation_id.tolist() == [183545]
    assert people.bbox.tolist() == [BOX]
    assert people.focal.tolist() == [[800, 800]]
    assert np.isnan(people.center).all()


def test_camsmplify():
    people = people_of("coco_camsmplify.npz", "camsmplify")
    is_smpl(people, transl=[0.1, -0.2, 5.5])
    is_before_camera(people)
    assert people.bbox.tolist() == [BOX]


def test_bedlam():
    people = people_of("bedlam_scene.npz", "bedlam")
    assert people.body_model == "smplx"
    assert people.flat_hand_mean is True
    assert people.gender.tolist() == ["male"]
    order = ("global_orient", "body_pose", "jaw_pose", "leye_pose", "reye_pose", "left_hand_pose", "right_hand_pose")
    np.testing.assert_allclose(np.concatenate([people.body[name] for name in order], 1), [ramp(165)])
    assert [people.body[name].shape[1] for name in order] == [3, 63, 3, 3, 3, 45, 45]
    np.testing.assert_allclose(people.body["betas"], [ramp(11)])
    assert people.body["transl"].tolist() == [[0.625, 0.0, 5.0]]
    is_before_camera(people)


def test_humandata():
    people = people_of("humandata.npz", "humandata")
    is_whole(people)
    assert people.flat_hand_mean is None  # the layout does not say it
    assert people.body["reye_pose"].tolist() == [[1, 1, 1]]
    assert people.bbox.tolist() == [[10, 20, 30, 40]]
    assert people.gender.tolist() == ["female"]
    assert people.focal.tolist() == [[900, 900]]
    assert people.center.tolist() == [[320, 240]]


def test_4dhumans():
    people = people_of("000000.tar", "4dhumans")
    is_smpl(people, rtol=1e-6)
    assert people.image_path.tolist() == ["a.jpg"]
    assert people.image_size.tolist() == [[32, 16]]
    assert people.bbox.tolist() == [BOX]
    assert people.landmark_set == "openpose25"
    assert people.keypoints[0, 24].tolist() == [5, 6, 0.5]


def test_smplify_x():
    people = people_of("smplifyx", "smplify-x")
    assert people.image_path.tolist() == ["000001"]
    np.testing.assert_allclose(people.body["body_pose"], [ramp(63, 1)], rtol=1e-6)
    np.testing.assert_allclose(people.body["betas"], [ramp(10, 1)], rtol=1e-6)
    np.testing.assert_allclose(people.body["expression"], [ramp(10, 3)], rtol=1e-6)
    np.testing.assert_allclose(people.body["transl"], [[0.1, -0.2, 25.5]], rtol=1e-6)
    assert people.focal.tolist() == [[5000, 5000]]
    assert "left_hand_pose" not in people.body  # 12 numbers of a space that is not in the file


def test_sam3d_body():
    people = people_of("sam3d_body.parquet", "sam3dbody")
    assert people.body_model is None
    assert people.reason[0].startswith("no-body: MHR")
    assert people.bbox.tolist() == [[10, 20, 100, 200]]
    assert people.focal.tolist() == [[600, 600]]
    assert people.landmark_set == "mhr70"
    assert people.keypoints[0, 69].tolist() == [7, 8, 1]


@pytest.mark.parametrize(
    "format", [f for f in registry.FORMATS if f.read is not None and not f.world and f.name != "parquet"], ids=str
)
def test_every_foreign_format_has_a_file(format):
    text = Path(__file__).read_text()
    assert f'"{format.name}"' in text
