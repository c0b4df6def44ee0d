"""The place around the people: floor, walls or sky, boxes, and the people's shadows on the floor."""

from __future__ import annotations

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
        """Light (..., 3) that falls on surfaces with unit normals (..., 3), world frame."""
        facing = np.maximum(normals @ self.direction.astype(np.float32), 0)[..., None]
        sky = (0.7 - 0.3 * normals[..., 1:2]).astype(np.float32)
        return facing * self.lamp.astype(np.float32) + sky * self.ambient.astype(np.float32)


class Backdrop(NamedTuple):
    """The empty place."""

    color: np.ndarray
    """(H, W, 3) float32 linear RGB."""
    depth: np.ndarray
    """(H, W) float32 metres along the camera's axis."""


def draw_light(rng: np.random.Generator) -> Light:
    """Draw the light: from above, from any side but straight behind the people."""
    azimuth, elevation = rng.uniform(-2.4, 2.4), np.radians(rng.uniform(30, 75))
    aside = np.cos(elevation)
    direction = np.array([np.sin(azimuth) * aside, -np.sin(elevation), -np.cos(azimuth) * aside])
    warmth = rng.uniform(-0.15, 0.15)
    tint = np.array([1 + warmth, 1, 1 - warmth])
    part = rng.uniform(0.35, 0.8)
    strength = rng.uniform(0.8, 1.25)
    return Light(direction, 1.6 * part * strength * tint, (1 - 0.6 * part) * strength / tint)


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
    rays = view_rays(scene.view, *(np.arange(n, dtype=np.float32) for n in size))
    color = np.zeros((*rays.shape[:2], 3), np.float32)
    depth = np.full(rays.shape[:2], _FAR, np.float32)
    noise = Noise(rng)
    if rng.random() < 0.6:
        _room(rng, scene, rays, light, noise, color, depth)
    else:
        _sky(rng, rays, noise, color)
    _floor(rng, scene, rays, light, noise, color, depth, shadow_points)
    for box in scene.boxes:
        _box(rng, scene, box, rays, light, noise, color, depth)
    return Backdrop(color, depth)


def view_rays(view: View, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """(len(v), len(u), 3) float32: what a metre along the camera's axis is in the world, through the pixels u, v."""
    x = (u - view.center[0]) / view.focal[0]
    y = (v - view.center[1]) / view.focal[1]
    rotation = view.rotation
    rays = x[None, :, None] * rotation[0] + y[:, None, None] * rotation[1] + rotation[2]
    return rays.astype(np.float32)


def _surface(
    rng: np.random.Generator, noise: Noise, low: float, high: float, u, v, blur, vivid: float = 0.25
) -> np.ndarray:
    """Colours of a patterned surface at u, v metres; `blur` is how many metres a pixel covers, `vivid` the usual saturation."""
    kind = PATTERNS[rng.integers(len(PATTERNS))]
    most = vivid * rng.exponential()
    one = draw_color(rng, (0.0, min(most, 0.9)), (low, high))
    other = (
        one * rng.uniform(0.35, 0.85) if rng.random() < 0.75 else draw_color(rng, (0.0, min(most, 0.9)), (low, high))
    )
    period = np.exp(rng.uniform(np.log(0.12), np.log(0.9)))
    amount = pattern(kind, u / period, v / period, noise)
    clear = np.clip(1.5 - 1.5 * blur / (0.4 * period), 0, 1)
    amount = 0.5 + (amount - 0.5) * clear
    dirt = 0.85 + 0.3 * noise(u * 0.8 + 11, v * 0.8 + 5)
    return ((one + amount[..., None] * (other - one)) * dirt[..., None]).astype(np.float32)


def _floor(rng, scene: Scene, rays, light: Light, noise, color, depth, shadow_points) -> None:
    place = scene.view.place.astype(np.float32)
    with np.errstate(divide="ignore"):
        t = np.where(rays[..., 1] > 1e-4, -place[1] / rays[..., 1], _FAR)
    seen = t < depth
    at = place + t[seen, None] * rays[seen]
    blur = t[seen] ** 2 / (scene.view.focal[0] * -place[1])
    albedo = _surface(rng, noise, 0.3, 0.8, at[:, 0], at[:, 2], blur, 0.15)
    shade = _shadow(scene, light, shadow_points, at[:, [0, 2]])
    fall = light.direction * light.lamp.reshape(3, 1)
    lit = -fall[:, 1] * (1 - shade[0][:, None]) + light.ambient * (1 - shade[1][:, None])
    mist = np.clip((t[seen] - 12) / 60, 0, 1)[:, None]
    behind = color[seen]
    color[seen] = albedo * lit * (1 - mist) + behind * mist
    depth[seen] = t[seen]


def _shadow(scene: Scene, light: Light, points: np.ndarray, at: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How much of the lamp, and of the light from everywhere, the people keep from floor points (n, 2)."""
    cast = points[:, [0, 2]] - points[:, 1:2] / light.direction[1] * light.direction[[0, 2]]
    low = points[points[:, 1] > -0.35]
    under, weight = low[:, [0, 2]], 1 + low[:, 1] / 0.35
    first = np.minimum(cast.min(0), under.min(0)) - 0.5
    cells = np.minimum(np.ceil((np.maximum(cast.max(0), under.max(0)) + 0.5 - first) / _CELL), 600).astype(int)
    result = []
    for spots, mass, radius in ((cast, np.ones(len(cast)), 1.4), (under, weight, 5.0)):
        grid = np.zeros(cells, np.float32)
        cell = np.clip(((spots - first) / _CELL).astype(int), 0, cells - 1)
        np.add.at(grid, (cell[:, 0], cell[:, 1]), mass.astype(np.float32))
        full = np.minimum(grid if radius < 2 else grid * 0.35, 1)
        blurred = Image.fromarray((full * 255).astype(np.uint8)).filter(ImageFilter.GaussianBlur(radius))
        dark = np.minimum(np.asarray(blurred, np.float32) / 255 * 1.6, 1)
        index = ((at - first) / _CELL).astype(int)
        inside = ((index >= 0) & (index < cells)).all(1)
        value = np.zeros(len(at), np.float32)
        value[inside] = dark[index[inside, 0], index[inside, 1]]
        result.append(value * 0.9)
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
        slope = rays @ n
        with np.errstate(divide="ignore", invalid="ignore"):
            t = np.where(slope < -1e-4, ((point - place) @ n).astype(np.float32) / slope, _FAR)
        t[t <= 0.05] = _FAR
        seen = t < depth
        if not seen.any():
            continue
        at = place + t[seen, None] * rays[seen]
        along = (at - point.astype(np.float32)) @ np.array([-n[2], 0, n[0]], np.float32)
        up = -at[:, 1]
        blur = t[seen] / scene.view.focal[0]
        albedo = _surface(rng, noise, 0.45, 0.95, along, up, blur)
        for _ in range(int(rng.integers(0, 5))):
            _poster(rng, noise, along, up, albedo)
        albedo[up < 0.1] *= 0.5
        color[seen] = albedo * light.on(n) * 0.9
        depth[seen] = t[seen]


def _poster(rng, noise: Noise, along: np.ndarray, up: np.ndarray, albedo: np.ndarray) -> None:
    middle, half = rng.uniform((-4, 0.9), (4, 2.2)), np.exp(rng.uniform(np.log(0.15), np.log(0.9), 2))
    across, high = np.abs(along - middle[0]) / half[0], np.abs(up - middle[1]) / half[1]
    frame = (across < 1) & (high < 1)
    inner = frame & (across < 0.92) & (high < 0.92)
    albedo[frame] = draw_color(rng, (0, 0.3), (0.1, 0.9))
    one, other = draw_color(rng, (0.1, 0.9), (0.2, 1)), draw_color(rng, (0.1, 0.9), (0.2, 1))
    grain = 1.5 / half.min()
    amount = noise(along[inner] * grain, up[inner] * grain)[:, None]
    albedo[inner] = one + amount * (other - one)


def _sky(rng, rays, noise: Noise, color) -> None:
    """Sky and clouds, and a skyline of trees or houses; nothing is drawn where only floor can be seen."""
    seen = rays[..., 1] < 0.02
    x, y, z = np.moveaxis(rays[seen], -1, 0)
    height = -y / np.hypot(x, z)
    bearing = np.arctan2(x, z)
    low, high = linear((0.85, 0.88, 0.92)), linear((0.35, 0.55, 0.85)) * rng.uniform(0.5, 1.3)
    clouds = noise(bearing * 6, height * 16) * 0.6 + noise(bearing * 17, height * 40) * 0.4
    cover = rng.uniform(0, 1)
    amount = np.clip(height * 2.2, 0, 1)[:, None]
    sky = low + amount * (high - low) + np.clip(clouds - 1 + cover, 0, 1)[:, None] * linear((0.9, 0.9, 0.9))
    for layer in range(int(rng.integers(1, 4))):
        houses = rng.random() < 0.5
        grain = rng.uniform(6, 14) if houses else rng.uniform(10, 40)
        where = np.floor(bearing * grain) * 3.7 if houses else bearing * grain
        top = rng.uniform(0.02, 0.30) * (0.3 + noise(where + 17 * layer, np.zeros_like(where)))
        if not houses:
            top = top + 0.02 * noise(bearing * 90, height * 90)
        tint = draw_color(rng, (0.05, 0.3), (0.3, 0.7)) if houses else linear((0.2, 0.35, 0.15)) * rng.uniform(0.5, 1.5)
        below = height < top
        b, h = bearing[below], height[below]
        shade = (0.55 + 0.15 * layer) * (0.75 + 0.5 * noise(b * 60, h * 60))
        if houses:
            shade = shade * np.where((b * grain * 5 % 1 > 0.5) & (h * 60 % 1 > 0.5), 0.5, 1)
        sky[below] = tint * shade[:, None]
    color[seen] = sky


def _box(rng, scene: Scene, box: np.ndarray, rays, light: Light, noise: Noise, color, depth) -> None:
    """A box on the floor: the nearest of the planes that a ray leaves last on entering."""
    window = _window(scene.view, box, depth.shape)
    rays, color, depth = rays[window], color[window], depth[window]
    place = scene.view.place.astype(np.float32)
    inverse = 1 / np.where(np.abs(rays) < 1e-6, np.float32(1e-6), rays)
    one, two = ((corner - place).astype(np.float32) * inverse for corner in box.astype(np.float32))
    enter, leave = np.minimum(one, two), np.maximum(one, two)
    t = enter.max(-1)
    seen = (t < leave.min(-1)) & (t > 0.05) & (t < depth)
    if not seen.any():
        return
    axis = enter[seen].argmax(-1)
    at = place + t[seen, None] * rays[seen]
    normal = np.zeros((len(at), 3), np.float32)
    normal[np.arange(len(at)), axis] = -np.sign(rays[seen][np.arange(len(at)), axis])
    u = np.where(axis == 0, at[:, 2], at[:, 0])
    v = np.where(axis == 1, at[:, 2], at[:, 1])
    albedo = _surface(rng, noise, 0.25, 0.9, u * 2, v * 2, 2 * t[seen] / scene.view.focal[0], 0.5)
    color[seen] = albedo * light.on(normal)
    depth[seen] = t[seen]


def _window(view: View, box: np.ndarray, shape: tuple[int, ...]) -> tuple[slice, slice]:
    """Rows and columns outside of which the box is not seen."""
    corners = view.see(np.array([(box[i, 0], box[j, 1], box[k, 2]) for i in (0, 1) for j in (0, 1) for k in (0, 1)]))
    if corners[:, 2].min() < 0.05:
        return slice(None), slice(None)
    pixels = view.pixels(corners)
    first = np.clip(np.floor(pixels.min(0)), 0, shape[::-1]).astype(int)
    last = np.clip(np.ceil(pixels.max(0)) + 1, 0, shape[::-1]).astype(int)
    return slice(first[1], last[1]), slice(first[0], last[0])
