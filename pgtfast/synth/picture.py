"""From a scene to its picture, and to what an annotator would and would not see in it."""

from __future__ import annotations

from functools import cached_property
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image, ImageFilter

from .. import ops
from ..body import load_body
from ..priors import load_vposer
from ..visuals import FaceRenderer
from .backdrop import Light, draw_backdrop, draw_light
from .people import Cast
from .scene import Scene, View, draw_scene
from .wardrobe import Figure, Outfit, figure_of

SAMPLES = 2
"""Samples a pixel and axis at which people are drawn."""

SMALLEST_AREA = 80.0
"""Square pixels: people of whom less is seen have no annotation."""


class Posed(NamedTuple):
    """P people in the camera frame, metres."""

    global_orient: np.ndarray
    """(P, 3)."""
    body_pose: np.ndarray
    """(P, 69)."""
    transl: np.ndarray
    """(P, 3)."""
    vertices: np.ndarray
    """(P, V, 3)."""
    joints: np.ndarray
    """(P, 24, 3)."""
    landmarks: np.ndarray
    """(P, 17, 3)."""


class Samples(NamedTuple):
    """The n samples of a picture that see a body's surface."""

    row: np.ndarray
    column: np.ndarray
    face: np.ndarray
    """(n,) row of the faces of all people."""
    weights: np.ndarray
    """(n, 3) barycentric."""
    depth: np.ndarray
    """(n,) metres along the camera's axis."""


class Picture(NamedTuple):
    """One image of the world, with all that is known about it."""

    image: np.ndarray
    """(H, W, 3) uint8."""
    focal: np.ndarray
    """(2,) pixels."""
    center: np.ndarray
    """(2,) pixels."""
    people: list[dict]
    """One a person who can be seen: the columns of `Truth` but the ids, and bbox (4,), area, keypoints (17, 2) with the annotator's noise."""


class Studio:
    """Draws the pictures of a world; kept from picture to picture.

    Args:
        size: width and height, pixels.
        people: fewest and most in a picture.
        keypoint_noise: standard deviation of annotated keypoints, pixels.
        temperature: of the poses.
    """

    def __init__(
        self, size: tuple[int, int], people: tuple[int, int], keypoint_noise: float, temperature: float
    ) -> None:
        self.size, self.people = size, people
        self.keypoint_noise, self.temperature = keypoint_noise, temperature
        self.cast = Cast(load_body("free"), load_vposer("free"))
        self.renderer = FaceRenderer(size, SAMPLES)

    @cached_property
    def figure(self) -> Figure:
        return figure_of(self.cast)

    @cached_property
    def near(self) -> np.ndarray:
        """(17,) metres: a surface point this close to a keypoint shows it; further ones hide it."""
        body, plan = self.cast.rest, self.cast.landmarks
        points = plan(transl=body.new_zeros(3))
        return (1.5 * torch.cdist(points, body).amin(1) + 0.05).numpy()

    def draw(self, seed: int, number: int) -> Picture:
        """Draw a picture of the world.

        Args:
            seed: of the world.
            number: of the picture.
        """
        rng = np.random.default_rng([seed, number])
        scene = draw_scene(rng, self.cast, self.size, self.people, self.temperature)
        posed = self.pose(scene)
        light = draw_light(rng)
        faces = self._all_faces(len(scene.people))
        flat = posed.vertices.reshape(-1, 3)
        world = flat @ scene.view.rotation + scene.view.place
        backdrop = draw_backdrop(rng, scene, self.size, light, np.concatenate((world, world[faces].mean(1))))
        number_of = self.renderer.render(flat, faces, focal=scene.view.focal, center=scene.view.center)
        samples = self._samples(number_of, flat, faces, scene.view)
        shown = samples.depth < backdrop.depth[samples.row // SAMPLES, samples.column // SAMPLES]
        samples = Samples(*(part[shown] for part in samples))
        color = self._shade(rng, scene, samples, faces, world, light)
        image = self._develop(rng, backdrop.color, samples, color)
        people = self._annotate(rng, scene, posed, samples, backdrop.depth)
        return Picture(image, scene.view.focal, scene.view.center, people)

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
            rotvec.numpy(), body_pose.numpy(), transl, out.vertices.numpy(), out.joints.numpy(),
            self.cast.landmarks(**known).numpy(),
        )  # fmt: skip

    def _all_faces(self, count: int) -> np.ndarray:
        one = self.cast.body.faces
        return np.concatenate([one + person * self.cast.body.num_vertices for person in range(count)])

    def _samples(self, number_of: np.ndarray, vertices: np.ndarray, faces: np.ndarray, view: View) -> Samples:
        """Where on its triangle each sample's ray ends: the corners' share is the volume that the ray spans with the other two."""
        row, column = np.nonzero(number_of >= 0)
        face = number_of[row, column]
        seen, place = np.unique(face, return_inverse=True)
        a, b, c = np.moveaxis(vertices[faces[seen]].astype(np.float64), 1, 0)
        planes = np.stack([np.cross(b, c), np.cross(c, a), np.cross(a, b)], 1)
        volume = (planes[:, 0] * a).sum(1)
        u, v = ((at + 0.5) / SAMPLES - 0.5 for at in (column, row))
        x, y = (u - view.center[0]) / view.focal[0], (v - view.center[1]) / view.focal[1]
        spanned = planes[place, :, 0] * x[:, None] + planes[place, :, 1] * y[:, None] + planes[place, :, 2]
        total = spanned.sum(1)
        # zero only for a triangle seen edge-on, of which no sample is seen but by rounding
        total = np.where(np.abs(total) < 1e-15, 1e-15, total)
        return Samples(row, column, face, (spanned / total[:, None]).astype(np.float32), volume[place] / total)

    def _shade(
        self, rng, scene: Scene, samples: Samples, faces: np.ndarray, world: np.ndarray, light: Light
    ) -> np.ndarray:
        """(n, 3) linear RGB of the samples."""
        outfits = [Outfit(rng) for _ in scene.people]
        edges = world[faces]
        flat = np.cross(edges[:, 1] - edges[:, 0], edges[:, 2] - edges[:, 0])
        normals = np.zeros_like(world)
        for corner in range(3):
            np.add.at(normals, faces[:, corner], flat)
        normal = np.einsum("nc,ncd->nd", samples.weights, normals[faces[samples.face]].astype(np.float32))
        normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-9)
        count = self.cast.body.num_vertices
        corners = faces[samples.face]
        rest = np.einsum("nc,ncd->nd", samples.weights, self.cast.rest.numpy()[corners % count])
        owner = corners[:, 0] // count
        albedo = np.empty((len(owner), 3), np.float32)
        for person, outfit in enumerate(outfits):
            mine = owner == person
            albedo[mine] = outfit.paint(rest[mine], self.figure)
        return albedo * light.on(normal)

    def _develop(self, rng, backdrop: np.ndarray, samples: Samples, color: np.ndarray) -> np.ndarray:
        """Lay the people over the place, and make a camera's picture of the light."""
        width, height = self.size
        soft = rng.uniform(0, 0.9) if rng.random() < 0.6 else 0.0
        pixel = samples.row // SAMPLES * width + samples.column // SAMPLES
        cover = np.bincount(pixel, minlength=width * height).reshape(height, width, 1) / SAMPLES**2
        sums = [np.bincount(pixel, color[:, c], minlength=width * height) for c in range(3)]
        light = np.stack(sums, -1).reshape(height, width, 3) / SAMPLES**2 + backdrop * (1 - cover)
        exposure = np.exp(rng.normal(0, 0.15)) * 0.42 / max(float(light.mean()), 0.1) ** 0.6
        light = light * exposure
        light = light / (1 + 0.25 * light)
        shown = np.clip(light, 0, 1) ** (1 / 2.2) * 255
        shown = shown + rng.normal(0, rng.uniform(0.5, 4), (height, width, 1)) + rng.normal(0, 1, (height, width, 3))
        image = Image.fromarray(np.clip(shown, 0, 255).astype(np.uint8))
        return np.asarray(image.filter(ImageFilter.GaussianBlur(soft)) if soft > 0.3 else image)

    def _annotate(self, rng, scene: Scene, posed: Posed, samples: Samples, depth: np.ndarray) -> list[dict]:
        width, height = self.size
        one = len(self.cast.body.faces)
        owner = np.full((height * SAMPLES, width * SAMPLES), -1)
        owner[samples.row, samples.column] = samples.face // one
        distance = np.repeat(np.repeat(depth, SAMPLES, 0), SAMPLES, 1)
        distance[samples.row, samples.column] = samples.depth
        up = scene.view.rotation @ np.array([0.0, -1.0, 0.0])
        people = []
        for at, person in enumerate(scene.people):
            seen = scene.view.pixels(posed.landmarks[at])
            noise = rng.standard_normal((len(seen), 2))
            rows, columns = np.nonzero(owner == at)
            area = len(rows) / SAMPLES**2
            if area < SMALLEST_AREA:
                continue
            visibility = self._visibility(seen, posed.landmarks[at], at, owner, distance, scene.view)
            # what is hidden is placed by guess
            spread = self.keypoint_noise * np.where(visibility == 2, 1.0, 2.0)
            keypoints = np.clip(seen + noise * spread[:, None], (-0.5, -0.5), (width - 0.5, height - 0.5))
            keypoints[visibility == 0] = 0
            low = np.array([columns.min(), rows.min()]) / SAMPLES - 0.5
            high = np.array([columns.max() + 1, rows.max() + 1]) / SAMPLES - 0.5
            people.append(
                {
                    "bbox": np.concatenate((low, high - low)),
                    "area": area,
                    "keypoints": keypoints,
                    "global_orient": posed.global_orient[at],
                    "body_pose": posed.body_pose[at],
                    "betas": person.betas,
                    "transl": posed.transl[at],
                    "latent": person.latent,
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

    def _visibility(self, seen, landmarks, person: int, owner, distance, view: View) -> np.ndarray:
        """(17,) int8: 2 where the surface near a landmark is what its pixel shows, 1 where something hides it, 0 outside the image."""
        width, height = self.size
        inside = ((seen > -0.5) & (seen < np.array(self.size) - 0.5)).all(1)
        column, row = np.clip(((seen + 0.5) * SAMPLES).astype(int), 0, np.array([width, height]) * SAMPLES - 1).T
        ray = np.concatenate(((seen - view.center) / view.focal, np.ones((len(seen), 1))), 1)
        surface = ray * distance[row, column][:, None]
        mine = owner[row, column] == person
        near = np.linalg.norm(surface - landmarks, axis=1) < self.near
        # beside the silhouette, as a noisy border or a thin finger may be, nothing hides the landmark
        open_air = (owner[row, column] < 0) & (distance[row, column] > landmarks[:, 2])
        return np.where(inside, np.where((mine & near) | open_air, 2, 1), 0).astype(np.int8)

    def close(self) -> None:
        self.renderer.close()
