"""From a scene to its image, and to what an annotator would and would not see in it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property, lru_cache
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image, ImageFilter

from .. import ops
from ..body import load_body
from ..priors import load_vposer
from ..visuals import FaceRenderer
from . import studio
from .backdrop import STUDIO_LIGHT, Light, Room, draw_backdrop, draw_light, draw_room, light_room
from .people import Cast
from .scene import Scene, View, draw_scene
from .wardrobe import Figure, figure_of

SAMPLES = 2
"""Samples a pixel and axis at which people are drawn."""

SETS = ("wild", "studio", "bridge", "test")
"""Places in this row are part of the seeds."""

DROPPED = 0.6
"""Share of the keypoints hidden by other things or people that an annotator leaves out."""

SPREAD = {
    "nose": 0.6,
    "left_eye": 0.6,
    "right_eye": 0.6,
    "left_ear": 0.8,
    "right_ear": 0.8,
    "left_hip": 1.6,
    "right_hip": 1.6,
}
"""How far keypoints are annotated from the truth against the usual: eyes are seen to a point, hips are somewhere under
cloth."""

SMALLEST_AREA = 80.0
"""Square pixels: people of whom less is seen have no annotation."""


_GAMMA = (np.linspace(0, 1, 4096) ** (1 / 2.2) * 255).astype(np.float32)


@lru_cache
def _grain_table() -> np.ndarray:
    return np.random.default_rng(6).standard_normal(1 << 20, np.float32)


def _grain(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Normal noise of a shape: a piece of a table, where that is long enough."""
    table, count = _grain_table(), int(np.prod(shape))
    if 4 * count > len(table):
        return rng.standard_normal(shape, np.float32)
    first = rng.integers(len(table) - count)
    return table[first : first + count].reshape(shape)


def _cross(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Cross products of (3, n) and (3, n)."""
    return np.stack([a[i] * b[j] - a[j] * b[i] for i, j in ((1, 2), (2, 0), (0, 1))])


class Posed(NamedTuple):
    """P people in the camera frame, metres."""

    global_orient: np.ndarray
    """(P, 3)."""
    body_pose: np.ndarray
    """(P, 69)."""
    betas: np.ndarray
    """(P, 10)."""
    transl: np.ndarray
    """(P, 3)."""
    vertices: np.ndarray
    """(P, V, 3)."""
    joints: np.ndarray
    """(P, 24, 3)."""
    landmarks: np.ndarray
    """(P, 17, 3) COCO's."""
    latent: np.ndarray
    """(P, 32) of the prior, the mean of its encoder."""


class Samples(NamedTuple):
    """The n samples of an image that see a body's surface; one stands for all of a pixel that sees one part of one
    body."""

    row: np.ndarray
    column: np.ndarray
    face: np.ndarray
    """(n,) row of the faces of all people."""
    weights: np.ndarray
    """(3, n) barycentric."""
    depth: np.ndarray
    """(n,) metres along the camera's axis."""
    share: np.ndarray
    """(n,) float32 of a pixel: 1, or one sample's."""


class Picture(NamedTuple):
    """One image of the world, with all that is known about it."""

    image: np.ndarray
    """(H, W, 3) uint8."""
    focal: np.ndarray
    """(2,) pixels."""
    center: np.ndarray
    """(2,) pixels."""
    people: list[dict]
    """One a person who can be seen: the columns of `Truth` but the ids, and bbox (4,), area, keypoints (17, 2) with the
    annotator's noise, flags (17,) of the annotation and, in the studio, h36m17 (17, 3) metres, camera frame."""


class Painter:
    """Draws the images of a world; kept from image to image.

    Args:
        size: width and height, pixels.
        people: fewest and most in an image of the open world.
        keypoint_noise: standard deviation of annotated keypoints, pixels.
        temperature: of the open world's poses.
        clips: recorded poses (M, 24, 3) by set; None for the prior's alone.
    """

    def __init__(
        self,
        size: tuple[int, int],
        people: tuple[int, int],
        keypoint_noise: float,
        temperature: float,
        clips: Mapping[str, np.ndarray] | None = None,
    ) -> None:
        self.size, self.people = size, people
        self.keypoint_noise, self.temperature = keypoint_noise, temperature
        self.clips = clips or {}
        self.cast = Cast(load_body("free"), load_vposer("free"))
        self.renderer = FaceRenderer(size, SAMPLES)
        self._rooms: dict[tuple[int, ...], Room] = {}

    @cached_property
    def figure(self) -> Figure:
        return figure_of(self.cast)

    @cached_property
    def near(self) -> np.ndarray:
        """(17,) metres: a surface point this close to a keypoint shows it; further ones hide it."""
        body, plan = self.cast.rest, self.cast.landmarks
        points = plan(transl=body.new_zeros(3))
        return (1.5 * torch.cdist(points, body).amin(1) + 0.05).numpy()

    def draw(self, kind: str, seed: int, number: int) -> Picture:
        """Draw an image of the world.

        Args:
            kind: one of `SETS`.
            seed: of the world.
            number: of the image in its set.
        """
        rng = np.random.default_rng([seed, SETS.index(kind), number])
        if kind == "studio":
            moment = studio.moment_of(number)
            scene = studio.draw_moment(seed, self.cast, self.size, moment)
            light = STUDIO_LIGHT
        else:
            scene = draw_scene(rng, self.cast, self.size, self.people, self.temperature, self.clips.get(kind))
            light = draw_light(rng)
        posed = self.pose(scene)
        faces = self._all_faces(len(scene.people))
        flat = posed.vertices.reshape(-1, 3)
        world = flat @ scene.view.rotation + scene.view.place
        shadow = np.concatenate((world, (world[faces[:, 0]] + world[faces[:, 1]] + world[faces[:, 2]]) / 3))
        if kind == "studio":
            backdrop = light_room(self._room(seed, moment, scene), scene, shadow)
        else:
            backdrop = draw_backdrop(rng, scene, self.size, light, shadow)
        number_of = self.renderer.render(flat, faces, focal=scene.view.focal, center=scene.view.center)
        samples = self._samples(number_of, flat, faces, scene.view)
        shown = samples.depth < backdrop.depth[samples.row // SAMPLES, samples.column // SAMPLES]
        samples = Samples(*(part[..., shown] for part in samples))
        color = self._shade(scene, samples, faces, world, light)
        image = self._develop(rng, backdrop.color, samples, color, plain=kind == "studio")
        people = self._annotate(rng, scene, posed, samples, backdrop.depth)
        if kind == "studio" and people:
            people = [{**people[0], "h36m17": self._mocap(posed)[0]}]
        return Picture(image, scene.view.focal, scene.view.center, people)

    def _room(self, seed: int, moment: studio.Moment, scene: Scene) -> Room:
        key = (seed, moment.subject, moment.camera)
        if key not in self._rooms:
            self._rooms[key] = draw_room(np.random.default_rng([seed, 5]), scene, self.size, studio.HALF_ROOM)
        return self._rooms[key]

    def pose(self, scene: Scene) -> Posed:
        """Put the people in the camera frame."""
        view = scene.view
        orient = np.stack([view.rotation @ person.orient for person in scene.people])
        rotvec = ops.matrix_to_rotvec(torch.from_numpy(orient)).float()
        rotations = torch.from_numpy(np.stack([p.rotations for p in scene.people]))
        betas = torch.from_numpy(np.stack([p.betas for p in scene.people]))
        body_pose = ops.matrix_to_rotvec(rotations).flatten(1)
        body = self.cast.body
        stand = np.stack(
            [person.root + np.array([x, 0, z]) for person, (x, z) in zip(scene.people, scene.places, strict=True)]
        )
        rest = body.joints_plan(betas=betas)[:, 0].numpy()
        transl = (view.see(stand) - rest).astype(np.float32)
        known = {"global_orient": rotvec, "body_pose": body_pose, "betas": betas, "transl": torch.from_numpy(transl)}
        out = body(**known)
        return Posed(
            rotvec.numpy(), body_pose.numpy(), betas.numpy(), transl, out.vertices.numpy(), out.joints.numpy(),
            self.cast.landmarks(**known).numpy(),
            self.cast.prior.encode(body_pose[:, :63].unflatten(1, (21, 3))).mean.numpy(),
        )  # fmt: skip

    def _mocap(self, posed: Posed) -> np.ndarray:
        """(P, 17, 3) Human3.6M's joints, metres, camera frame."""
        betas = torch.from_numpy(posed.betas)
        known = (torch.from_numpy(part) for part in (posed.global_orient, posed.body_pose, posed.transl))
        return self.cast.mocap(
            **dict(zip(("global_orient", "body_pose", "transl"), known, strict=True)), betas=betas
        ).numpy()

    def _all_faces(self, count: int) -> np.ndarray:
        one = self.cast.body.faces
        return np.concatenate([one + person * self.cast.body.num_vertices for person in range(count)])

    def _parts(self, faces: int) -> np.ndarray:
        """(faces,) int16: which part of which person a triangle is of."""
        one = self.cast.parts
        people = np.arange(faces // len(one), dtype=np.int16)[:, None]
        return (people * np.int16(self.cast.body.num_joints) + one).ravel()

    def _samples(self, number_of: np.ndarray, vertices: np.ndarray, faces: np.ndarray, view: View) -> Samples:
        """Where on its triangle each sample's ray ends: the corners' share is the volume that the ray spans with the
        other two."""
        hit = number_of >= 0
        rows, columns = np.flatnonzero(hit.any(1)), np.flatnonzero(hit.any(0))
        if not len(rows):
            none = np.zeros(0, np.int32)
            return Samples(none, none, none, np.zeros((3, 0), np.float32), np.zeros(0), np.zeros(0, np.float32))
        top, left = rows[0] // SAMPLES * SAMPLES, columns[0] // SAMPLES * SAMPLES
        number_of = number_of[
            top : rows[-1] // SAMPLES * SAMPLES + SAMPLES, left : columns[-1] // SAMPLES * SAMPLES + SAMPLES
        ]
        width = number_of.shape[1]
        part = np.append(self._parts(len(faces)), np.int16(-1))[number_of]
        first = part[::SAMPLES, ::SAMPLES]
        whole = np.ones(first.shape, bool)
        for i, j in np.ndindex(SAMPLES, SAMPLES):
            whole &= part[i::SAMPLES, j::SAMPLES] == first
        kept = part >= 0
        for i, j in list(np.ndindex(SAMPLES, SAMPLES))[1:]:
            kept[i::SAMPLES, j::SAMPLES] &= ~whole
        at = np.flatnonzero(kept.ravel())
        face = number_of.ravel()[at]
        row, column = np.divmod(at.astype(np.int32), np.int32(width))
        share = np.where(whole[row // SAMPLES, column // SAMPLES], np.float32(1), np.float32(1 / SAMPLES**2))
        row, column = row + np.int32(top), column + np.int32(left)
        shows = np.zeros(len(faces), bool)
        shows[face] = True
        seen, place = np.flatnonzero(shows), (np.cumsum(shows) - 1)[face]
        a, b, c = vertices.astype(np.float64).T[:, faces[seen].T].transpose(1, 0, 2)
        planes = np.stack([_cross(b, c), _cross(c, a), _cross(a, b)])
        volume = (planes[0] * a).sum(0)
        x, y = ((((at + 0.5) / SAMPLES - 0.5) - view.center[k]) / view.focal[k] for k, at in enumerate((column, row)))
        spanned = np.stack([plane[0][place] * x + plane[1][place] * y + plane[2][place] for plane in planes])
        total = spanned.sum(0)
        # zero only for a triangle seen edge-on, of which no sample is seen but by rounding
        total = np.where(np.abs(total) < 1e-15, 1e-15, total)
        return Samples(row, column, face, (spanned / total).astype(np.float32), volume[place] / total, share)

    def _shade(self, scene: Scene, samples: Samples, faces: np.ndarray, world: np.ndarray, light: Light) -> np.ndarray:
        """(3, n) linear RGB of the samples."""
        count, at = self.cast.body.num_vertices, self.cast.corners
        people = len(scene.people)
        a, b, c = world.astype(np.float32).T[:, faces.T].transpose(1, 0, 2)
        flat = _cross(b - a, c - a).reshape(3, people, -1)
        normals = np.add.reduceat(flat[..., at[0]], at[1], 2).reshape(3, -1)
        normals /= np.maximum(np.sqrt((normals * normals).sum(0)), 1e-12)
        corners = np.ascontiguousarray(faces[samples.face].T)
        planes = (*normals, *np.tile(self.cast.rest.numpy().T, people))
        mixed = [sum(w * plane[corner] for w, corner in zip(samples.weights, corners, strict=True)) for plane in planes]
        normal, rest = np.stack(mixed[:3]), np.stack(mixed[3:], 1)
        normal /= np.maximum(np.sqrt((normal * normal).sum(0)), 1e-9)
        owner = corners[0] // count
        light_of = light.on(normal)
        for person, outfit in enumerate(scene.outfits):
            mine = np.flatnonzero(owner == person)
            light_of[:, mine] *= outfit.paint(rest[mine], self.figure).T
        return light_of

    def _develop(self, rng, backdrop: np.ndarray, samples: Samples, color: np.ndarray, *, plain: bool) -> np.ndarray:
        """Lay the people over the place, and make a camera's image of the light; a plain one is neither blurred nor
        misexposed."""
        width, height = self.size
        soft = rng.uniform(0, 0.9) if rng.random() < 0.6 and not plain else 0.0
        pixel = samples.row // SAMPLES * width + samples.column // SAMPLES
        weighed = (samples.share, *(color * samples.share))
        cover, *sums = (
            np.bincount(pixel, part, minlength=width * height).astype(np.float32).reshape(height, width)
            for part in weighed
        )
        light = backdrop * (1 - cover)
        for plane, people in zip(light, sums, strict=True):
            plane += people
        exposure = np.exp(rng.normal(0, 0.05 if plain else 0.2)) * 0.42 / max(float(light.mean()), 0.1) ** 0.6
        light *= np.float32(exposure)
        light /= 1 + np.float32(0.25) * light
        shown = _GAMMA[(np.minimum(light, 1) * (len(_GAMMA) - 1)).astype(np.int32)]
        grain = np.float32(rng.uniform(0.5, 2 if plain else 4))
        shown += grain * _grain(rng, (1, height, width))
        shown += _grain(rng, (3, height, width))
        planes = np.clip(shown, 0, 255, out=shown).astype(np.uint8)
        image = Image.merge("RGB", [Image.fromarray(plane) for plane in planes])
        return np.asarray(image.filter(ImageFilter.GaussianBlur(soft)) if soft > 0.3 else image)

    def _annotate(self, rng, scene: Scene, posed: Posed, samples: Samples, depth: np.ndarray) -> list[dict]:
        width, height = self.size
        one = len(self.cast.body.faces)
        owner, whole = samples.face // one, samples.share == 1
        # which sample each place of the grid sees, -1 for the backdrop
        sees = np.full((height * SAMPLES, width * SAMPLES), -1, np.int32)
        number = np.arange(len(owner), dtype=np.int32)
        sees[samples.row[~whole], samples.column[~whole]] = number[~whole]
        for i, j in np.ndindex(SAMPLES, SAMPLES):
            sees[samples.row[whole] + i, samples.column[whole] + j] = number[whole]
        last = np.where(whole, SAMPLES, 1)
        up = scene.view.rotation @ np.array([0.0, -1.0, 0.0])
        people = []
        for at in range(len(scene.people)):
            seen = scene.view.pixels(posed.landmarks[at])
            noise = rng.standard_normal((len(seen), 2))
            mine = np.flatnonzero(owner == at)
            area = float(samples.share[mine].sum(dtype=np.float64))
            if area < SMALLEST_AREA:
                continue
            place = np.clip(((seen + 0.5) * SAMPLES).astype(int), 0, np.array(sees.shape[::-1]) - 1).T
            which = sees[place[1], place[0]]
            person_at = np.where(which < 0, -1, owner[which])
            distance = np.where(which < 0, depth[place[1] // SAMPLES, place[0] // SAMPLES], samples.depth[which])
            visibility, covered = self._visibility(seen, posed.landmarks[at], at, person_at, distance, scene.view)
            # what the own body hides is placed by guess; of what other things hide, some is guessed
            # worse, the rest omitted
            flags = np.where(covered & (rng.random(len(seen)) < DROPPED), 0, visibility).astype(np.int8)
            spread = self.keypoint_noise * self._spread * np.where(visibility == 2, 1.0, np.where(covered, 3.0, 2.0))
            keypoints = np.clip(seen + noise * spread[:, None], (-0.5, -0.5), (width - 0.5, height - 0.5))
            keypoints[flags == 0] = 0
            low = np.array([part[mine].min() for part in (samples.column, samples.row)]) / SAMPLES - 0.5
            high = np.array([(part[mine] + last[mine]).max() for part in (samples.column, samples.row)]) / SAMPLES - 0.5
            people.append(
                {
                    "bbox": np.concatenate((low, high - low)),
                    "area": area,
                    "keypoints": keypoints,
                    "flags": flags,
                    "global_orient": posed.global_orient[at],
                    "body_pose": posed.body_pose[at],
                    "betas": posed.betas[at],
                    "transl": posed.transl[at],
                    "latent": posed.latent[at],
                    "focal": scene.view.focal,
                    "center": scene.view.center,
                    "joints": posed.joints[at],
                    "landmarks": posed.landmarks[at],
                    "landmarks_2d": seen,
                    "visibility": visibility,
                    "up": up,
                    "camera_height": -scene.view.place[1],
                }
            )
        return people

    @cached_property
    def _spread(self) -> np.ndarray:
        return np.array([SPREAD.get(name, 1.0) for name in self.cast.landmarks.names])

    def _visibility(self, seen, landmarks, person: int, owner, distance, view: View) -> tuple[np.ndarray, np.ndarray]:
        """Of 17 landmarks, where person `owner` (-1: nobody) is seen at a `distance`: int8, 2 where the surface near it
        is what its pixel shows, 1 where something hides it, 0 outside the image; and bool, whether what hides it is not
        the person's own body."""
        inside = ((seen > -0.5) & (seen < np.array(self.size) - 0.5)).all(1)
        ray = np.concatenate(((seen - view.center) / view.focal, np.ones((len(seen), 1))), 1)
        surface = ray * distance[:, None]
        mine = owner == person
        near = np.linalg.norm(surface - landmarks, axis=1) < self.near
        # beside the silhouette, as a noisy border or a thin finger may be, nothing hides the landmark
        open_air = (owner < 0) & (distance > landmarks[:, 2])
        visible = (mine & near) | open_air
        return np.where(inside, np.where(visible, 2, 1), 0).astype(np.int8), inside & ~visible & ~mine

    def close(self) -> None:
        self.renderer.close()
