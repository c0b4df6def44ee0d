"""MuCo-3DHP, written of free bodies whose truth is known."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pgtfast._errors import PgtfastError
from pgtfast.datasets.muco import read_muco
from tests.helpers import writers3d
from tests.helpers.mutation import mutated
from tests.helpers.writers3d import free, in_front


def edited(path: Path, change) -> Path:
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))
    return path


def test_joints_in_the_camera(tmp_path):
    made = in_front()
    people = read_muco(writers3d.muco(tmp_path / "MuCo-3DHP.json", made), nearest_only=False)
    assert people.landmark_set == "muco21"
    assert people.reason.tolist() == [None] * 4
    np.testing.assert_allclose(people.joints_3d[:, :17], made.joints("mupots17"), atol=1e-6)
    points = people.joints_3d[..., :2] / people.joints_3d[..., 2:] * people.focal[:, None] + people.center[:, None]
    assert np.abs(points - people.keypoints[..., :2]).max() < 1e-3
    assert people.body == {}


def test_only_the_nearest_person_of_an_image_is_used(tmp_path):
    made = in_front()
    people = read_muco(writers3d.muco(tmp_path / "a.json", made))
    depth = made.joints("mupots17")[:, 14, 2]
    for image in (0, 1):
        rows = np.array([2 * image, 2 * image + 1])
        near = rows[depth[rows].argmin()]
        assert people.reason[near] is None
        assert people.reason[rows[rows != near][0]].startswith("not-nearest")


def test_bodies_that_fit_are_kept(tmp_path):
    made = in_front()
    path = writers3d.muco(tmp_path / "a.json", made, bodies=tmp_path / "smpl_param.json")
    bodies = tmp_path / "smpl_param.json"
    people = read_muco(path, nearest_only=False, bodies=bodies)
    assert people.body_model == "smpl"
    assert people.gender.tolist() == ["neutral", None, "neutral", "neutral"]
    np.testing.assert_allclose(people.body["transl"][[0, 2, 3]], made.transl[[0, 2, 3]], atol=1e-6)
    assert np.isnan(people.pose[1]).all()
    edited(bodies, lambda c: c["32"].update(pose=(-made.pose[2]).tolist()))
    people = read_muco(path, nearest_only=False, bodies=bodies, body=free(), max_body_error=0.06)
    assert people.body_model == "free"
    assert np.isfinite(people.pose[:, 0]).tolist() == [True, False, False, True]
    bodies.write_text(json.dumps({"999": {}}))
    with pytest.raises(PgtfastError, match="holds none of the annotation ids"):
        read_muco(path, bodies=bodies)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c["images"][0].pop("f"), "image 0: key 'f': wanted 2 numbers in pixels, got 'none'"),
        (lambda c: c["images"][0].update(c=[1]), "image 0: key 'c': wanted 2 numbers"),
        (lambda c: c["images"][0].update(f=[-1, 5]), "focal lengths above 0"),
        (lambda c: [i.update(f=[980, 980], c=[270, 480]) for i in c["images"]], "px beside their annotated places"),
        (lambda c: [a.pop("keypoints_cam") for a in c["annotations"]], "none of its 4 people .* keypoints_cam: "
                                                                       "wanted 21 x 3"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(tmp_path, change, message):
    path = edited(writers3d.muco(tmp_path / "MuCo-3DHP.json", in_front()), change)
    with pytest.raises(PgtfastError, match=message) as error:
        read_muco(path)
    assert "MuCo-3DHP.json" in str(error.value)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_mutated_file_reads_right_or_says_why(tmp_path, data):
    path, whole = tmp_path / "MuCo-3DHP.json", tmp_path / "whole.json"
    if not whole.exists():
        writers3d.muco(whole, in_front())
    content = {**json.loads(whole.read_text()), "categories": [{"id": 1, "name": "person"}]}
    path.write_text(mutated(data.draw, content))
    try:
        people = read_muco(path)
    except PgtfastError as error:
        if "MuCo-3DHP.json" in str(error):
            return
        raise
    good = np.array([reason is None for reason in people.reason])
    assert np.isfinite(people.joints_3d[good]).all()
    assert np.isfinite(people.keypoints).all()
