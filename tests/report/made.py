"""Made-up runs: free bodies with photos of noise, and keypoints at the bodies' own landmarks."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from pgtfast import load_body, load_vposer, reference
from pgtfast.body import BodyModel
from pgtfast.formats import Store
from pgtfast.people import Reason, Skip, empty_people
from pgtfast.people.arrow import to_arrow
from pgtfast.quality.measure import Origin, solved
from pgtfast.quality.score import Quality, QualityModel

SIZE = (160, 120)
FOCAL, CENTER = torch.tensor([220.0, 220.0]), torch.tensor([79.5, 59.5])
SKIPPED = 2
"""The last people of a run have no body."""

QUALITY = Quality(
    (QualityModel("test", ("reprojection_rel",), (0.0,), (1.0,), (-1.0, 0.0), 0.0, ((1.5, 0.05), (5.5, 0.95)), 300),),
    {},
    "",
)
"""Falls with the logarithm of the keypoints' error."""


def poses(count: int, seed: int = 0) -> dict[str, Tensor]:
    """Keywords of `count` free bodies, upright, facing the camera, four metres away."""
    make = torch.Generator().manual_seed(seed)
    pose = reference.matrix_to_rotvec(load_vposer("free").decode(0.7 * torch.randn(count, 32, generator=make)))
    return {
        "global_orient": torch.tensor([torch.pi, 0.0, 0.0]).repeat(count, 1),
        "body_pose": torch.cat((pose, torch.zeros(count, 2, 3)), 1).flatten(1),
        "betas": 0.3 * torch.randn(count, 10, generator=make),
        "transl": torch.tensor([0.0, 0.0, 4.0]) + 0.2 * torch.randn(count, 3, generator=make),
    }


def photos(folder: Path, names: Sequence[str]) -> Path:
    """Photos of noise."""
    folder.mkdir()
    noise = np.random.default_rng(0)
    for name in names:
        small = Image.fromarray(noise.integers(0, 256, (12, 16, 3), np.uint8))
        small.resize(SIZE).save(folder / name)
    return folder


def write_run(
    folder: Path,
    pose: dict[str, Tensor],
    *,
    body: BodyModel | None = None,
    off: Sequence[float] = (),
    names: Sequence[str] | None = None,
    order: Sequence[int] | None = None,
    keypoints: bool = True,
    config: dict | None = None,
    part: int = 4,
) -> Path:
    """A run of bodies.

    Args:
        folder: RUN.
        pose: keywords of N bodies; the last two are skipped people.
        body: their model; the free body by default.
        off: (N,) pixels that each one's keypoints lie right of the body's; growing by default.
        names: image of each; an image of their own by default.
        order: in which rows are written.
        keypoints: whether people have any.
        config: more of it.
        part: rows a part.
    """
    body = load_body("free") if body is None else body
    count = len(pose["transl"])
    names = [f"{n:03d}.jpg" for n in range(count)] if names is None else names
    seen = reference.project(body.landmarks("coco17")(**pose), FOCAL.expand(count, 2), CENTER.expand(count, 2))
    shift = np.array(off if len(off) else np.linspace(0, 4, count))
    pixels = seen.double().numpy() + np.stack((shift, 0 * shift), -1)[:, None]
    points = np.concatenate((pixels, np.ones((count, 17, 1))), -1) * (1.0 if keypoints else 0.0)
    low, high = pixels.min(1), pixels.max(1)
    reason = np.full(count, None, object)
    reason[count - SKIPPED :] = Skip(Reason.NO_CROP, "a test says so")
    people = replace(
        empty_people("made", 100 + np.arange(count)),
        landmark_set="coco17",
        image_path=np.array(names, object),
        image_size=np.tile(SIZE, (count, 1)),
        bbox=np.concatenate((low, high - low), 1),
        keypoints=points,
        reason=reason,
    )
    told = {
        "command": "fit",
        "dataset": "made",
        "body": {"kind": body.kind, "gender": body.gender, "sha256": body.source.sha256},
    }
    order = np.arange(count) if order is None else np.array(order)
    with Store(folder, {**told, **(config or {})}) as store:
        for start in range(0, count, part):
            at = order[start : start + part]
            chosen = np.flatnonzero(at < count - SKIPPED)
            here = at[chosen]
            found = {
                **{k: v.numpy()[here] for k, v in pose.items()}, "focal": FOCAL.expand(len(here), 2).numpy(),
                "center": CENTER.expand(len(here), 2).numpy(), "projected": seen.numpy()[here],
                "limit_violation": np.zeros(len(here)), "valid": np.ones(len(here), bool),
            }  # fmt: skip
            origin = Origin(body.kind, body.gender, None, "test", "0", QUALITY)
            store.write_part(to_arrow(solved(people.rows(at), chosen, found, origin)))
        store.write_run(finished=True, rates={"people_per_second": 12.5})
    return folder


def summary(page: Path) -> dict:
    """The numbers in a page."""
    return json.loads(page.read_text().partition('id="summary-data">')[2].partition("</script>")[0])


def people_data(page: Path) -> dict:
    """The people in a page."""
    return json.loads(page.read_text().partition('id="people-data">')[2].partition("</script>")[0])
