"""The place around the people: floor, walls or sky, boxes, and the people's shadows on the floor.

Points, directions and colours are kept in planes, (3, n): NumPy is many times slower along a last axis of three.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageFilter

from .scene import Scene, View
from .textures import PATTERNS, Noise, draw_color, linear, pattern

_FAR = 1e4
_CELL = 0.025
"""Metres a cell of the shadow map."""


class Light(NamedTuple):
    """A distant lamp or sun and the light from everywhere."""

    direction: np.ndarray
    """(3,) unit vector towards the lamp, world frame."""
    lamp: np.ndarray
    """(3,) linear RGB."""
    ambient: np.ndarray
    """(3,) linear RGB."""

    def on(self, normals: np.ndarray) -> np.ndarray:
        """Light (3, ...) that falls on surfaces with unit normals (3, ...), world frame."""
        x, y, z = self.direction.astype(np.float32)
        facing = np.maximum(normals[0] * x + normals[1] * y + normals[2] * z, 0)
        sky = np.float32(0.7) - np.float32(0.3) * normals[1]
        lamp, ambient = self.lamp.astype(np.float32), self.ambient.astype(np.float32)
        return np.stack([facing * lamp[k] + sky * ambient[k] for k in range(3)])


class Backdrop(NamedTuple):
    """The empty place."""

    color: np.ndarray
    """(3, H, W) float32 linear RGB."""
    depth: np.ndarray
    """(H, W) float32 metres along the camera's axis."""


def draw_light(rng: np.random.Generator) -> Light:
    """Draw the light: from above, from any side; three times in ten strong and low, with long shadows."""
    strong = rng.random() < 0.3
    azimuth = rng.uniform(-np.pi, np.pi) if strong else rng.uniform(-2.4, 2.4)
    elevation = np.radians(rng.uniform(18, 45) if strong else rng.uniform(30, 75))
    aside = np.cos(elevation)
    direction = np.array([np.sin(azimuth) * aside, -np.sin(elevation), -np.cos(azimuth) * aside])
    warmth = rng.uniform(-0.25, 0.25) if strong else rng.uniform(-0.15, 0.15)
    tint = np.array([1 + warmth, 1, 1 - warmth])
    part = rng.uniform(0.75, 0.95) if strong else rng.uniform(0.35, 0.8)
    strength = rng.uniform(0.8, 1.25)
    return Light(direction, 1.6 * part * strength * tint, (1 - 0.6 * part) * strength / tint)


STUDIO_LIGHT = Light(np.array([0.25, -0.92, 0.3]), np.array([0.75, 0.74, 0.72]), np.array([0.85, 0.86, 0.88]))
"""Lamps all over the ceiling."""


class Room(NamedTuple):
    """The empty studio as one camera sees it, but for the floor's light."""

    backdrop: Backdrop
    floor: Floor


class Floor(NamedTuple):
    """The floor's n pixels."""

    seen: np.ndarray
    """(n,) their places among the H W pixels."""
    at: np.ndarray
    """(2, n) x and z, metres."""
    albedo: np.ndarray
    """(3, n)."""
    distance: np.ndarray
    """(n,) metres along the camera's axis."""


def draw_room(rng: np.random.Generator, scene: Scene, size: tuple[int, int], half: float) -> Room:
    """The studio: a square room of plain walls, and its floor.

    Args:
        rng: all randomness.
        scene: the camera.
        size: width and height, pixels.
        half: metres from the middle to the walls.
    """
    rays, color, depth = _blank(scene.view, size)
    noise = Noise(rng)
    place = scene.view.place.astype(np.float32)
    wall = draw_color(rng, (0.0, 0.12), (0.6, 0.9))
    for axis, side in ((0, -1), (0, 1), (2, -1), (2, 1)):
        slope = rays[axis] * side
        t = np.where(slope > 1e-4, (half - side * place[axis]) / np.maximum(slope, 1e-4), _FAR).astype(np.float32)
        seen, t, at = _hit(place, rays, t, (t < depth) & (place[1] + t * rays[1] < 0))
        normal = np.zeros(3, np.float32)
        normal[axis] = -side
        dirt = 0.93 + 0.14 * noise(at[2 - axis] * 0.5, at[1] * 0.5)
        dirt[at[1] > -0.1] *= 0.6
        lit = wall * np.float32(1 + 0.04 * side) * STUDIO_LIGHT.on(normal)
        _lay(color, depth, seen, [dirt * lit[k] for k in range(3)], t)
    plain = draw_color(rng, (0.0, 0.2), (0.35, 0.6))
    floor = _floor_of(
        scene, rays, depth, lambda at, blur: np.multiply.outer(plain, np.float32(0.9) + 0.2 * noise(at[0], at[1]))
    )
    return Room(Backdrop(color, depth), floor)


def light_room(room: Room, scene: Scene, shadow_points: np.ndarray) -> Backdrop:
    """The studio with a person's shadow."""
    color, depth = (part.copy() for part in room.backdrop)
    _light_floor(scene, room.floor, STUDIO_LIGHT, color, depth, shadow_points)
    return Backdrop(color, depth)


def draw_backdrop(
    rng: np.random.Generator, scene: Scene, size: tuple[int, int], light: Light, shadow_points: np.ndarray
) -> Backdrop:
    """Draw the place.

    Args:
        rng: all randomness.
        scene: camera, people and boxes.
        size: width and height, pixels.
        light: the scene's.
        shadow_points: (n, 3) points of the people's surface, world frame.
    """
    rays, color, depth = _blank(scene.view, size)
    noise = Noise(rng)
    if rng.random() < 0.6:
        _room(rng, scene, rays, light, noise, color, depth)
    else:
        _sky(rng, rays, noise, color)
    _floor(rng, scene, rays, light, noise, color, depth, shadow_points)
    for box in scene.boxes:
        _box(rng, scene, box, rays, light, noise, color, depth)
    return Backdrop(color, depth)


def _blank(view: View, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(3, H, W) float32 what a metre along the camera's axis is in the world through each pixel; (3, H, W) black; (H,
    W) far away."""
    x, y = ((np.arange(n) - c) / f for n, c, f in zip(size, view.center, view.focal, strict=True))
    rotation = view.rotation
    across, down = np.outer(rotation[0], x), np.outer(rotation[1], y) + rotation[2][:, None]
    rays = across.astype(np.float32)[:, None, :] + down.astype(np.float32)[:, :, None]
    return rays, np.zeros_like(rays), np.full(rays.shape[1:], _FAR, np.float32)


def _hit(
    place: np.ndarray, rays: np.ndarray, t: np.ndarray, shown: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Places (n,) of the pixels that are shown, how far their rays go (n,), and where they end (3, n)."""
    seen = np.flatnonzero(shown)
    t = t.ravel()[seen]
    return seen, t, np.stack([place[k] + t * rays[k].ravel()[seen] for k in range(3)])


def _lay(color: np.ndarray, depth: np.ndarray, seen: np.ndarray, lit, t: np.ndarray) -> None:
    """Put colours (3, n) and depths (n,) at places (n,) of (3, H, W) and (H, W)."""
    for plane, value in zip(color.reshape(3, -1), lit, strict=True):
        plane[seen] = value
    depth.reshape(-1)[seen] = t


def _surface(
    rng: np.random.Generator, noise: Noise, low: float, high: float, u, v, blur, vivid: float = 0.25
) -> np.ndarray:
    """Colours (3, n) of a patterned surface at u, v metres; `blur` is how many metres a pixel covers, `vivid` the usual
    saturation."""
    kind = PATTERNS[rng.integers(len(PATTERNS))]
    most = vivid * rng.exponential()
    one = draw_color(rng, (0.0, min(most, 0.9)), (low, high))
    other = (
        one * rng.uniform(0.35, 0.85) if rng.random() < 0.75 else draw_color(rng, (0.0, min(most, 0.9)), (low, high))
    )
    period = float(np.exp(rng.uniform(np.log(0.12), np.log(0.9))))
    amount = pattern(kind, u / period, v / period, noise)
    clear = np.clip(1.5 - 1.5 * blur / (0.4 * period), 0, 1)
    amount = 0.5 + (amount - 0.5) * clear
    dirt = 0.85 + 0.3 * noise(u * 0.8 + 11, v * 0.8 + 5)
    return np.stack([(one[k] + amount * (other[k] - one[k])) * dirt for k in range(3)]).astype(np.float32, copy=False)


def _floor(rng, scene: Scene, rays, light: Light, noise, color, depth, shadow_points) -> None:
    floor = _floor_of(scene, rays, depth, lambda at, blur: _surface(rng, noise, 0.3, 0.8, at[0], at[1], blur, 0.15))
    _light_floor(scene, floor, light, color, depth, shadow_points)


def _floor_of(scene: Scene, rays, depth, paint: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> Floor:
    """Where the floor is seen before `depth`; `paint` gives the colours (3, n) of points (2, n), x and z, of which a
    pixel covers (n,) metres."""
    place = scene.view.place.astype(np.float32)
    slope = rays[1]
    t = np.where(slope > 1e-4, -place[1] / np.maximum(slope, np.float32(1e-4)), np.float32(_FAR))
    seen = np.flatnonzero(t < depth)
    distance = t.ravel()[seen]
    at = np.stack([place[k] + distance * rays[k].ravel()[seen] for k in (0, 2)])
    blur = distance * distance / np.float32(scene.view.focal[0] * -place[1])
    return Floor(seen, at, paint(at, blur).astype(np.float32, copy=False), distance)


def _light_floor(scene: Scene, floor: Floor, light: Light, color, depth, shadow_points) -> None:
    shade = _shadow(light, shadow_points, floor.at)
    fall, around = (-light.direction[1] * light.lamp).astype(np.float32), light.ambient.astype(np.float32)
    lamp, sky = 1 - shade[0], 1 - shade[1]
    misty = np.flatnonzero(floor.distance > 12)
    mist = np.minimum((floor.distance[misty] - 12) / 60, 1)
    for k, plane in enumerate(color.reshape(3, -1)):
        lit = (fall[k] * lamp + around[k] * sky) * floor.albedo[k]
        if len(misty):
            lit[misty] += mist * (plane[floor.seen[misty]] - lit[misty])
        plane[floor.seen] = lit
    depth.reshape(-1)[floor.seen] = floor.distance


def _shadow(light: Light, points: np.ndarray, at: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How much of the lamp, and of the light from everywhere, the people keep from floor points (2, n)."""
    cast = points[:, [0, 2]] - points[:, 1:2] / light.direction[1] * light.direction[[0, 2]]
    low = points[points[:, 1] > -0.35]
    under, weight = low[:, [0, 2]], 1 + low[:, 1] / 0.35
    first = np.minimum(cast.min(0), under.min(0)) - 0.5
    cells = np.minimum(np.ceil((np.maximum(cast.max(0), under.max(0)) + 0.5 - first) / _CELL), 600).astype(int)
    x, z = ((plane - np.float32(low)) * np.float32(1 / _CELL) for plane, low in zip(at, first, strict=True))
    inside = np.flatnonzero((x >= 0) & (x < cells[0]) & (z >= 0) & (z < cells[1]))
    index = x[inside].astype(np.int32) * np.int32(cells[1]) + z[inside].astype(np.int32)
    result = []
    for spots, mass, radius in ((cast, None, 1.4), (under, 0.35 * weight, 5.0)):
        cell = np.clip(((spots - first) / _CELL).astype(int), 0, cells - 1)
        grid = np.bincount(cell[:, 0] * cells[1] + cell[:, 1], mass, minlength=int(cells.prod())).reshape(cells)
        full = (np.minimum(grid, 1) * 255).astype(np.uint8)
        blurred = Image.fromarray(full).filter(ImageFilter.GaussianBlur(radius))
        dark = np.minimum(np.asarray(blurred, np.float32) * np.float32(1.6 / 255), 1)
        value = np.zeros(at.shape[1], np.float32)
        value[inside] = np.float32(0.9) * dark.ravel()[index]
        result.append(value)
    return result[0], result[1]


def _room(rng, scene: Scene, rays, light: Light, noise, color, depth) -> None:
    """A back wall, turned a little, and at times a side wall; posters or windows on them."""
    place = scene.view.place.astype(np.float32)
    middle = np.array([0.0, scene.depth + rng.uniform(0.4, 3.5)])
    turn = rng.normal(0, 0.25)
    normals = [np.array([np.sin(turn), 0, -np.cos(turn)])]
    away = np.abs(np.sin(turn)) * 4 + middle[1]
    walls = [(normals[0], np.array([0.0, 0.0, away]))]
    if rng.random() < 0.5:
        side = rng.choice((-1.0, 1.0))
        normal = np.array([-side * np.cos(turn), 0, -side * np.sin(turn)])
        reach = 1.0 + np.abs([x for x, _ in scene.places]).max() + max(p.reach for p in scene.people)
        walls.append((normal, np.array([side * (reach + rng.uniform(0, 2)), 0.0, scene.places[0, 1]])))
    for normal, point in walls:
        n = normal.astype(np.float32)
        slope = n[0] * rays[0] + n[2] * rays[2]
        with np.errstate(divide="ignore", invalid="ignore"):
            t = np.where(slope < -1e-4, ((point - place) @ n).astype(np.float32) / slope, _FAR)
        t[t <= 0.05] = _FAR
        shown = (t < depth) & (place[1] + t * rays[1] < 0)  # the floor hides the rest
        if not shown.any():
            continue
        seen, t, at = _hit(place, rays, t, shown)
        along = n[0] * (at[2] - np.float32(point[2])) - n[2] * (at[0] - np.float32(point[0]))
        up = -at[1]
        albedo = _surface(rng, noise, 0.45, 0.95, along, up, t / float(scene.view.focal[0]))
        for _ in range(int(rng.integers(0, 5))):
            _poster(rng, noise, along, up, albedo)
        albedo[:, up < 0.1] *= 0.5
        lit = light.on(n) * np.float32(0.9)
        _lay(color, depth, seen, [albedo[k] * lit[k] for k in range(3)], t)


def _poster(rng, noise: Noise, along: np.ndarray, up: np.ndarray, albedo: np.ndarray) -> None:
    middle = rng.uniform((-4, 0.9), (4, 2.2)).astype(np.float32)
    half = np.exp(rng.uniform(np.log(0.15), np.log(0.9), 2)).astype(np.float32)
    across, high = np.abs(along - middle[0]) / half[0], np.abs(up - middle[1]) / half[1]
    edge = np.maximum(across, high)
    frame, inner = np.flatnonzero(edge < 1), np.flatnonzero(edge < 0.92)
    albedo[:, frame] = draw_color(rng, (0, 0.3), (0.1, 0.9))[:, None]
    one, other = draw_color(rng, (0.1, 0.9), (0.2, 1)), draw_color(rng, (0.1, 0.9), (0.2, 1))
    grain = 1.5 / half.min()
    amount = noise(along[inner] * grain, up[inner] * grain)
    for k in range(3):
        albedo[k, inner] = one[k] + amount * (other[k] - one[k])


def _sky(rng, rays, noise: Noise, color) -> None:
    """Sky and clouds, and a skyline of trees or houses; nothing is drawn where only floor can be seen."""
    seen = np.flatnonzero(rays[1] < 0.02)
    x, y, z = (plane[seen] for plane in rays.reshape(3, -1))
    height = -y / np.hypot(x, z)
    bearing = np.arctan2(x, z)
    low, high = linear((0.85, 0.88, 0.92)), linear((0.35, 0.55, 0.85)) * rng.uniform(0.5, 1.3)
    color[:] = (0.6 * low)[:, None, None]  # the haze into which the floor fades
    clouds = noise(bearing * 6, height * 16) * 0.6 + noise(bearing * 17, height * 40) * 0.4
    cover = rng.uniform(0, 1)
    amount = np.clip(height * 2.2, 0, 1)
    white = np.clip(clouds - 1 + cover, 0, 1) * linear((0.9,))
    sky = np.stack([low[k] + amount * (high[k] - low[k]) + white for k in range(3)])
    for layer in range(int(rng.integers(1, 4))):
        houses = rng.random() < 0.5
        grain = rng.uniform(6, 14) if houses else rng.uniform(10, 40)
        where = np.floor(bearing * grain) * 3.7 if houses else bearing * grain
        top = rng.uniform(0.02, 0.30) * (0.3 + noise(where + 17 * layer, np.zeros_like(where)))
        if not houses:
            top = top + 0.02 * noise(bearing * 90, height * 90)
        tint = draw_color(rng, (0.05, 0.3), (0.3, 0.7)) if houses else linear((0.2, 0.35, 0.15)) * rng.uniform(0.5, 1.5)
        below = np.flatnonzero(height < top)
        b, h = bearing[below], height[below]
        shade = (0.55 + 0.15 * layer) * (0.75 + 0.5 * noise(b * 60, h * 60))
        if houses:
            shade = shade * np.where((b * grain * 5 % 1 > 0.5) & (h * 60 % 1 > 0.5), 0.5, 1)
        for k in range(3):
            sky[k, below] = tint[k] * shade
    for plane, value in zip(color.reshape(3, -1), sky, strict=True):
        plane[seen] = value


def _box(rng, scene: Scene, box: np.ndarray, rays, light: Light, noise: Noise, color, depth) -> None:
    """A box on the floor: the nearest of the planes that a ray leaves last on entering."""
    window = _window(scene.view, box, depth.shape)
    rays, color, depth = rays[(slice(None), *window)], color[(slice(None), *window)], depth[window]
    place = scene.view.place.astype(np.float32)
    inverse = 1 / np.where(np.abs(rays) < 1e-6, np.float32(1e-6), rays)
    one, two = ((corner - place)[:, None, None] * inverse for corner in box.astype(np.float32))
    enter, leave = np.minimum(one, two), np.maximum(one, two)
    t = enter.max(0)
    seen = (t < leave.min(0)) & (t > 0.05) & (t < depth)
    if not seen.any():
        return
    t = t[seen]
    ray = rays[:, seen]
    axis = enter[:, seen].argmax(0)
    at = place[:, None] + t * ray
    u = np.where(axis == 0, at[2], at[0])
    v = np.where(axis == 1, at[2], at[1])
    albedo = _surface(rng, noise, 0.25, 0.9, u * 2, v * 2, 2 * t / float(scene.view.focal[0]), 0.5)
    # of the six sides, (3, 3, 2): colour, axis of the normal, whether the ray goes up that axis
    sides = np.stack([np.eye(3, dtype=np.float32), -np.eye(3, dtype=np.float32)], -1)
    lit = light.on(sides).reshape(3, -1)[:, 2 * axis + (ray[axis, np.arange(len(axis))] > 0)]
    color[:, seen] = albedo * lit
    depth[seen] = t


def _window(view: View, box: np.ndarray, shape: tuple[int, ...]) -> tuple[slice, slice]:
    """Rows and columns outside of which the box is not seen."""
    corners = view.see(np.array([(box[i, 0], box[j, 1], box[k, 2]) for i in (0, 1) for j in (0, 1) for k in (0, 1)]))
    if corners[:, 2].min() < 0.05:
        return slice(None), slice(None)
    pixels = view.pixels(corners)
    first = np.clip(np.floor(pixels.min(0)), 0, shape[::-1]).astype(int)
    last = np.clip(np.ceil(pixels.max(0)) + 1, 0, shape[::-1]).astype(int)
    return slice(first[1], last[1]), slice(first[0], last[0])
