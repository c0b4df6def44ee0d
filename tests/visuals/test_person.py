"""Close-ups of people: what is cut out stays where the camera sees it, and a renderer that is kept draws as a new one
does.
"""

from __future__ import annotations

import numpy as np

from pgtfast.visuals.overlay import side_view
from pgtfast.visuals.person import (
    GREY,
    Window,
    body_panel,
    cut_photo,
    photo_panel,
    side_panel,
    to_window,
    window_around,
)
from pgtfast.visuals.render import MeshRenderer, render_meshes
from tests.visuals.test_overlay import CENTER, FACES, FOCAL, SIZE, mass_center, octahedron

SHAPE = (84, 112)


def test_a_window_has_the_shape_and_holds_the_points():
    rng = np.random.default_rng(0)
    for _ in range(20):
        points = rng.uniform(-50, 300, (5, 2)) * rng.uniform(0.05, 2, 2)
        window = window_around(points, shape=SHAPE)
        assert abs(window.width / window.height - SHAPE[0] / SHAPE[1]) < 0.02 + 1 / window.height
        placed = to_window(points, window, SHAPE)
        assert (placed > -1).all()
        assert (placed < np.array(SHAPE)).all()


def test_pixels_stay_pixels():
    photo = np.random.default_rng(0).integers(0, 256, (40, 50, 3), np.uint8)
    window = Window(-3, 35, 30, 20)
    cut = cut_photo(photo, window, (30, 20))
    np.testing.assert_array_equal(cut[:5, 3:], photo[35:, :27])
    assert (cut[5:] == GREY).all()
    assert (cut[:, :3] == GREY).all()
    np.testing.assert_allclose(to_window(np.array([0.0, 36.0]), window, (60, 40)), [6.5, 2.5])
    assert (cut_photo(photo, Window(60, 0, 10, 10), (10, 10)) == GREY).all()


def test_the_body_is_drawn_where_its_camera_sees_it():
    window = Window(30, 40, 60, 80)
    with MeshRenderer(SHAPE) as renderer:
        for middle in (np.array([0, 0, 3.0]), np.array([0.1, 0.2, 3.0])):
            panel = body_panel(
                None, window, renderer, vertices=octahedron(middle, 0.05), faces=FACES, focal=np.array(FOCAL),
                center=np.array(CENTER), opacity=1.0,
            )  # fmt: skip
            seen = mass_center(np.abs(panel.astype(float) - GREY).sum(-1) > 20)
            expected = to_window(middle[:2] / middle[2] * FOCAL + CENTER, window, SHAPE)
            np.testing.assert_allclose(seen, expected, atol=0.3)


def test_keypoints_are_drawn_where_they_are():
    photo = np.full((200, 200, 3), 90, np.uint8)
    points = np.zeros((17, 3))
    points[5], points[6] = [70, 100, 1], [90, 100, 1]
    window = Window(50, 60, 60, 80)
    dots = photo_panel(photo, window, SHAPE, keypoints=points, skeleton=None)
    bones = photo_panel(photo, window, SHAPE, keypoints=points, skeleton="coco17")
    x, y = np.round(to_window(points[5, :2], window, SHAPE)).astype(int)
    between = np.round(to_window(np.array([80, 100]), window, SHAPE)).astype(int)
    assert (dots[y, x] != 90).any()
    assert (dots[between[1], between[0]] == 90).all()
    assert (bones[between[1], between[0]] != 90).any()
    assert (photo_panel(photo, window, SHAPE, keypoints=None, skeleton=None) == 90).all()


def test_a_kept_renderer_draws_as_a_new_one():
    pictures = [(np.array([0, 0, 3.0]), (255, 0, 0)), (np.array([0.2, 0.1, 2.0]), (0, 255, 0))]
    with MeshRenderer(SIZE) as renderer:
        for _ in range(2):
            for middle, color in pictures:
                bodies = octahedron(middle, 0.2)[None]
                kept = renderer.render(bodies, FACES, focal=FOCAL, center=CENTER, colors=(color,))
                new = render_meshes(bodies, FACES, focal=FOCAL, center=CENTER, size=SIZE, colors=(color,))
                np.testing.assert_array_equal(kept, new)
        nobody = renderer.render(np.zeros((0, 6, 3)), FACES, focal=FOCAL, center=CENTER)
        assert not nobody.any()
        side = side_panel(octahedron(np.array([0, 0, 3.0]), 0.2), FACES, renderer, color=(0, 0, 255))
        alone = side_view(octahedron(np.array([0, 0, 3.0]), 0.2)[None], FACES, size=SIZE, colors=((0, 0, 255),))
        np.testing.assert_array_equal(side, alone)
        assert side[60, 80, 2] > 2 * side[60, 80, 0]
