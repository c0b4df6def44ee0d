"""MPI-INF-3DHP in the authors' layout, written of free bodies whose truth is known."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pgtfast._errors import PgtfastError
from pgtfast.datasets.mpi_inf_3dhp import read_mpi_inf_3dhp
from tests.helpers import writers3d
from tests.helpers.mutation import mutated
from tests.helpers.writers3d import Scene, free, landmarks, scene


def made() -> Scene:
    return replace(scene(), size=(1024, 1024))


def test_joints_and_bodies_in_the_camera(tmp_path):
    people = read_mpi_inf_3dhp(writers3d.mpi(tmp_path, made()), body=free())
    assert people.landmark_set == "mpi17"
    assert people.image_path[3] == "S1/Seq2/imageSequence/img_1_000003.jpg"
    for row in range(6):
        body, camera = divmod(row, 2)
        seen = made().in_camera(made().joints("mupots17")[body], camera)
        np.testing.assert_allclose(people.joints_3d[row], seen, atol=2e-6)
        placed = landmarks("smpl24", people.pose[row], people.body["betas"][row], people.body["transl"][row])
        np.testing.assert_allclose(placed, made().in_camera(made().joints("smpl24")[body], camera), atol=5e-6)
    assert len(read_mpi_inf_3dhp(tmp_path, every=6, cameras=(1,))) == 2
    with pytest.raises(PgtfastError, match="every: wanted 1"):
        read_mpi_inf_3dhp(tmp_path, every=0)


def test_cameras_of_the_full_images_are_noticed(tmp_path):
    right = read_mpi_inf_3dhp(writers3d.mpi(tmp_path / "right", made()))
    folder = writers3d.mpi(tmp_path / "full", made(), size=2048)
    with pytest.raises(
        PgtfastError, match=r"camera_1k.json: .* does not fit images of 1024 x 1024 px: .* 2 times as large"
    ):
        read_mpi_inf_3dhp(folder)
    people = read_mpi_inf_3dhp(folder, resize_cameras=True)
    np.testing.assert_allclose(people.focal, right.focal)
    np.testing.assert_allclose(people.keypoints[..., :2], right.keypoints[..., :2], atol=0.3)  # half a pixel of 2048
    folder = writers3d.mpi(tmp_path / "odd", made(), size=5000)
    with pytest.raises(PgtfastError, match="does not fit images of 1024 x 1024 px; take the data and camera files"):
        read_mpi_inf_3dhp(folder, resize_cameras=True)


def test_full_files_are_found_by_their_names(tmp_path):
    folder = writers3d.mpi(tmp_path, made())
    (folder / "MPI-INF-3DHP_1k.json").rename(folder / "MPI-INF-3DHP.json")
    (folder / "MPI-INF-3DHP_camera_1k.json").rename(folder / "MPI-INF-3DHP_camera.json")
    assert len(read_mpi_inf_3dhp(folder)) == 6
    (folder / "MPI-INF-3DHP.json").unlink()
    with pytest.raises(PgtfastError, match=r"MPI-INF-3DHP_1k.json: no such file"):
        read_mpi_inf_3dhp(folder)


def test_a_missing_subject_is_named(tmp_path):
    folder = writers3d.mpi(tmp_path, made())
    (folder / "MPI-INF-3DHP_camera_1k.json").write_text(json.dumps({"2": {}}))
    with pytest.raises(PgtfastError, match=r"camera \['1'\]\['2'\]\['0'\]: missing"):
        read_mpi_inf_3dhp(folder)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_mutated_file_reads_right_or_says_why(tmp_path, data):
    path, whole = tmp_path / "MPI-INF-3DHP_1k.json", tmp_path / "whole.json"
    if not whole.exists():
        writers3d.mpi(tmp_path, made())
        path.rename(whole)
    content = {**json.loads(whole.read_text()), "categories": [{"id": 1, "name": "person"}]}
    path.write_text(mutated(data.draw, content))
    try:
        people = read_mpi_inf_3dhp(tmp_path)
    except PgtfastError as error:
        if "MPI-INF-3DHP" in str(error):
            return
        raise
    good = np.array([reason is None for reason in people.reason])
    assert np.isfinite(people.joints_3d[good]).all()
    assert np.isfinite(people.keypoints).all()
    assert not people.keypoints[~good].any()
