"""People in made pictures, and loaders of them."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from pgtfast.loading import Supervision
from pgtfast.loading.loader import LoaderConfig, MixedLoader, Stream
from pgtfast.people import ImageSet, People, empty_people

SUPERVISION = Supervision(("p2p25", "coco17"))
SMALL = (48, 64)


def smooth_picture(seed: int, size: tuple[int, int] = (96, 80)) -> np.ndarray:
    """(H, W, 3) uint8 with a different colour everywhere."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[: size[1], : size[0]]
    waves = [np.sin(x * a + y * b + c) for a, b, c in rng.uniform(0.02, 0.15, (3, 3))]
    return (127 + 120 * np.stack(waves, -1)).astype(np.uint8)


def encoded(picture: np.ndarray, kind: str = "JPEG", **options: object) -> bytes:
    out = io.BytesIO()
    Image.fromarray(picture).save(out, kind, **({"quality": 95} if kind == "JPEG" else {}), **options)
    return out.getvalue()


def people(names: list[str], dataset: str = "made", size: tuple[int, int] = (96, 80), **columns: object) -> People:
    count = len(names)
    keypoints = np.zeros((count, 17, 3))
    keypoints[:, :5] = (40, 40, 1)
    keypoints[:, 0, :2] += np.arange(count)[:, None]
    given = {
        "dataset": dataset,
        "landmark_set": "coco17",
        "image_path": np.array(names, dtype=object),
        "image_size": np.tile(np.array(size), (count, 1)),
        "annotation_id": np.arange(100, 100 + count),
        "person_id": np.zeros(count, np.int64),
        "bbox": np.tile(np.array([20.0, 10, 40, 60]), (count, 1)),
        "keypoints": keypoints,
        "reason": np.full(count, None, dtype=object),
    }
    given |= columns
    return replace(empty_people(given["dataset"], given["annotation_id"]), **given)


def folder(root: Path, count: int, dataset: str = "made", **columns: object) -> ImageSet:
    root.mkdir(exist_ok=True)
    names = [f"{dataset}_{i:02d}.jpg" for i in range(count)]
    for i, name in enumerate(names):
        (root / name).write_bytes(encoded(smooth_picture(i)))
    return ImageSet(people=people(names, dataset, **columns), images=root, role="wild")


def config(**changes: object) -> LoaderConfig:
    return LoaderConfig(**{"crop_size": SMALL, "seed": 4, **changes})


def mixed(sets: dict[ImageSet, int] | list[tuple[ImageSet, int]], settings: LoaderConfig | None = None, **more: object):
    streams = [Stream((s,), n) for s, n in sets]
    return MixedLoader(streams, SUPERVISION, settings or config(), body_kind="free", **more)


def same(a, b) -> None:
    for name, value in vars(a).items():
        if value is None:
            assert getattr(b, name) is None
        else:
            torch.testing.assert_close(value, getattr(b, name), rtol=0, atol=0, msg=name)


def damaged(good: bytes, png: bytes) -> dict[str, bytes | None]:
    """Files by the beginning of the reason against them; None is no file."""
    flipped = bytearray(png)
    flipped[len(png) // 2] ^= 255
    rng = np.random.default_rng(0)
    return {
        "missing": None,
        "empty": b"",
        "truncated": good[: len(good) // 2],
        "truncated: the JPEG has no end mark": good[:-10],
        "truncated: the JPEG ends": good[:120],
        "format": rng.integers(0, 127, 3000).astype(np.uint8).tobytes(),
        "damaged": good[:2] + b"abcd" + good[6:],
        "truncated: the PNG has no end mark": png[: len(png) // 2],
        "decode": bytes(flipped),
        "size": encoded(smooth_picture(0, (192, 160))),
    }
