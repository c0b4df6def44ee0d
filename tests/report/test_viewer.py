"""The recording for Rerun: what is in the file, and that it lies where the picture shows it."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from pgtfast.formats import read_records
from tests.report.conftest import PEOPLE
from tests.report.made import CENTER, FOCAL, SKIPPED

pytest.importorskip("rerun", reason="needs the extra viewer")


@pytest.fixture(scope="module")
def chunks(folder, report) -> dict[str, list]:
    """Chunks of a recording of both runs, by entity path."""
    from rerun.chunk import RrdReader

    file = folder / "new" / "both.rrd"
    code = report(
        folder / "one", "--against", folder / "two", "--images", folder / "photos", "--rrd", file, "--viewer-images", 4
    )
    assert code == 0
    assert [p.name for p in file.parent.iterdir()] == ["both.rrd"]
    held: dict[str, list] = {}
    for chunk in RrdReader(file).stream():
        held.setdefault(chunk.entity_path, []).append(chunk.to_record_batch())
    return held


def column(chunks, entity: str, name: str) -> list:
    """Values of a component, one a logged step, in order."""
    found = []
    for batch in chunks[entity]:
        if name in batch.schema.names:
            steps = batch["image"].to_pylist() if "image" in batch.schema.names else [0] * len(batch)
            found += zip(steps, batch[name].to_pylist(), strict=True)
    return [value for _, value in sorted(found, key=lambda pair: pair[0])]


def test_photo_camera_keypoints_and_bodies_are_there(chunks):
    meshes = [path for path in chunks if path.startswith("/world/bodies/")]
    assert len([path for path in meshes if path.startswith("/world/bodies/a/")]) == 4
    assert 3 <= len([path for path in meshes if path.startswith("/world/bodies/b/")]) <= 4
    assert {
        "/world/camera",
        "/world/camera/photo",
        "/world/camera/keypoints/dots",
        "/world/camera/keypoints/bones",
        "/people",
    } <= set(chunks)
    assert len(column(chunks, "/world/camera/keypoints/dots", "Points2D:positions")) == 4


def test_photos_are_raw_and_stand_behind_the_bodies(chunks):
    """Rerun takes JPEGs and PNGs on one path for a video, whose frames have one size; a photo nearer than a body would
    hide it.
    """
    assert any("Image:buffer" in batch.schema.names for batch in chunks["/world/camera/photo"])
    planes = np.ravel(column(chunks, "/world/camera", "Pinhole:image_plane_distance"))
    bodies = [path for path in chunks if path.startswith("/world/bodies/")]
    farthest = [
        np.array(points)[:, 2].max() for path in bodies for points in column(chunks, path, "Mesh3D:vertex_positions")
    ]
    assert len(planes) == 4
    assert planes.max() > max(farthest)


def test_bodies_lie_where_their_keypoints_are(chunks, folder):
    """The mesh through the recording's camera covers the box, half a pixel further than the store counts."""
    rows = {row["annotation_id"]: row for row in read_records(folder / "one").to_pylist() if row["valid"]}
    matrix = np.array(column(chunks, "/world/camera", "Pinhole:image_from_camera")[0]).reshape(3, 3).T
    np.testing.assert_allclose([matrix[0, 0], matrix[1, 1]], FOCAL)
    np.testing.assert_allclose(matrix[:2, 2], CENTER.numpy() + 0.5)
    checked = 0
    for path in [path for path in chunks if path.startswith("/world/bodies/a/")]:
        row = rows[int(path.rpartition("/")[2])]
        points = np.array(column(chunks, path, "Mesh3D:vertex_positions")[0])
        seen = points[:, :2] / points[:, 2:] * np.diag(matrix)[:2] + matrix[:2, 2]
        keypoints = np.array(row["landmarks_2d"])[:, :2] + 0.5
        assert (keypoints.mean(0) > seen.min(0) - 4).all()
        assert (keypoints.mean(0) < seen.max(0) + 4).all()
        assert np.abs(seen.mean(0) - keypoints.mean(0)).max() < 20
        normals = np.array(column(chunks, path, "Mesh3D:vertex_normals")[0])
        np.testing.assert_allclose(np.linalg.norm(normals, axis=1), 1, atol=1e-3)
        assert ((points - points.mean(0)) * normals).sum() > 0  # a volume: they point outward
        checked += 1
    assert checked == 4


def test_all_images_when_there_are_fewer(folder, report, tmp_path, capsys):
    assert report(folder / "one", "--rrd", tmp_path / "one.rrd") == 0
    assert f"{PEOPLE - SKIPPED} images, {PEOPLE - SKIPPED} bodies" in capsys.readouterr().out
    assert not (folder / "one" / "report").exists()


def test_without_rerun(folder, report, capsys, monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "rerun", None)
    assert report(folder / "one", "--rrd", tmp_path / "one.rrd") == 2
    assert "--rrd: rerun is not installed: pip install 'pgtfast[viewer]'" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_file_that_cannot_be_written(folder, report, capsys, tmp_path):
    (tmp_path / "file").write_text("")
    assert report(folder / "one", "--rrd", tmp_path / "file" / "one.rrd") == 2
    assert "cannot be written" in capsys.readouterr().err
