"""Pictures: the renderer's camera is the fits' camera, near hides far, and layouts hold."""

from __future__ import annotations

import numpy as np
import pytest

from pgtfast.visuals import contact_sheet, draw_keypoints, render_meshes, render_overlay

FACES = np.array([[0, 1, 2], [1, 3, 2], [3, 4, 2], [4, 0, 2], [1, 0, 5], [3, 1, 5], [4, 3, 5], [0, 4, 5]])
SIZE, FOCAL, CENTER = (160, 120), (210.0, 240.0), (66.3, 70.9)


def octahedron(middle, radius: float) -> np.ndarray:
    return np.concatenate((middle + radius * np.eye(3), middle - radius * np.eye(3)))


def mass_center(alpha: np.ndarray) -> np.ndarray:
    y, x = np.mgrid[: alpha.shape[0], : alpha.shape[1]]
    return np.array([(alpha * x).sum(), (alpha * y).sum()]) / alpha.sum()


def test_a_point_is_drawn_where_the_camera_sees_it():
    rng = np.random.default_rng(0)
    for _ in range(6):
        depth = rng.uniform(2, 6)
        middle = np.array([rng.uniform(-0.2, 0.3), rng.uniform(-0.2, 0.1), 1]) * depth
        picture = render_meshes(octahedron(middle, 0.02 * depth)[None], FACES, focal=FOCAL, center=CENTER, size=SIZE)
        assert picture.shape == (120, 160, 4)
        expected = middle[:2] / middle[2] * FOCAL + CENTER
        np.testing.assert_allclose(mass_center(picture[..., 3] / 255), expected, atol=0.1)


def test_near_hides_far():
    both = np.stack((octahedron(np.array([0, 0, 3.0]), 0.3), octahedron(np.array([0, 0, 2.0]), 0.3)))
    picture = render_meshes(both, FACES, focal=FOCAL, center=CENTER, size=SIZE, colors=((255, 0, 0), (0, 255, 0)))
    red, green, _, alpha = picture[round(CENTER[1]), round(CENTER[0])]
    assert alpha == 255
    assert green > 4 * red


def test_nobody():
    assert not render_meshes(np.zeros((0, 6, 3)), FACES, focal=FOCAL, center=CENTER, size=SIZE).any()


def test_overlay_and_sheet():
    photo = np.full((120, 160, 3), 90, np.uint8)
    points = np.zeros((1, 17, 3))
    points[0, 5:7] = [[40, 50, 1], [80, 50, 1]]
    vertices = octahedron(np.array([0, 0, 3.0]), 0.3)[None]
    picture = render_overlay(
        photo, vertices, FACES, focal=FOCAL, center=CENTER, keypoints=points, captions=["7: a person"]
    )
    assert picture.dtype == np.uint8
    assert picture.shape[0] > 120
    assert picture.shape[1] == 160 + 160 + 200
    blended = picture[:120, 160:320]
    assert (blended[70, 66] != 90).any()
    assert (blended[5, 5] == 90).all()
    drawn = draw_keypoints(photo, points)
    assert (drawn[50, 60] != 90).any()
    assert (photo == 90).all()
    sheet = contact_sheet([picture, picture], columns=3, cell=(100, 80))
    assert sheet.shape == (80, 300, 3)
    assert (sheet[:, 200:] == 255).all()
    assert contact_sheet([], columns=2, cell=(10, 10)).shape == (10, 20, 3)


def test_no_word_about_displays(capfd):
    render_meshes(octahedron(np.array([0, 0, 3.0]), 0.3)[None], FACES, focal=FOCAL, center=CENTER, size=SIZE)
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("opacity", [0.0, 1.0])
def test_opacity(opacity):
    photo = np.full((120, 160, 3), 90, np.uint8)
    vertices = octahedron(np.array([0, 0, 3.0]), 0.3)[None]
    picture = render_overlay(photo, vertices, FACES, focal=FOCAL, center=CENTER, opacity=opacity)
    assert ((picture[70, 160 + 66] == 90).all()) == (opacity == 0)
