"""The four sets in the files of real data sets, so that what reads those reads these."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from .. import skeletons
from ..body import load_body
from ..cameras import body_to_world
from ..files.atomic import replacing
from . import studio
from .truth import Truth, write_truth

MARK, CAMERAS, TRUTH = "pgtfast_world.json", "cameras.json", "truth"
COCO = "annotations/person_keypoints_train2017.json"
BRIDGE = "3DPW_train.json"
_MOST = 100
"""Ids of annotations are those of their image times this, plus the person's number."""
_SEQUENCE = 24
"""Pictures of a sequence of the bridge."""


class Piece(NamedTuple):
    """What is known of one image of a set."""

    number: int
    image: dict[str, np.ndarray]
    """focal and center (2,)."""
    people: dict[str, np.ndarray]
    """Columns of the P people: those of :class:`~pgtfast.synth.picture.Picture`."""

    @property
    def size(self) -> int:
        return len(self.people["bbox"]) if self.people else 0


def image_path(kind: str, number: int) -> str:
    """Path of an image in its set's folder."""
    if kind == "studio":
        return f"images/{_studio_name(number)}"
    if kind == "bridge":
        return "imageFiles/{}/{}".format(*_bridge_name(number))
    return f"train2017/{_coco_name(number)}"


def write_set(root: Path, kind: str, pieces: Iterator[Piece], *, seed: int, size: tuple[int, int], assets: dict) -> int:
    """Write a set's files beside its images.

    Args:
        root: the world's folder; the set's is in it.
        kind: of the set.
        pieces: of its images, in order.
        seed: of the world.
        size: width and height of the images, pixels.
        assets: the body and the prior, for the mark.

    Returns:
        Number of annotated people.
    """
    folder = root / kind
    if kind == "studio":
        people = _write_studio(folder, pieces, seed, size)
    elif kind == "bridge":
        people = _write_bridge(folder, pieces, size)
    else:
        people = _write_coco(
            folder, root / TRUTH / f"{kind}.npz", pieces, f"{kind} of the free world, seed {seed}", size
        )
    write_json(folder / MARK, {"body": "free", "prior": assets["prior"].split()[0], "set": kind, "sha256": assets})
    return people


def answers(root: Path, kind: str) -> list[Path]:
    """Files that a finished set has."""
    if kind == "studio":
        names = [f"annotations/Human36M_subject{studio.SUBJECTS[0]}_data.json", MARK]
    elif kind == "bridge":
        names = [BRIDGE, MARK]
    else:
        return [root / kind / COCO, root / kind / MARK, root / TRUTH / f"{kind}.npz"]
    return [root / kind / name for name in names]


def write_json(path: Path, value: Any) -> None:
    """Write a file that appears whole or not at all; its folder is made."""
    write_bytes(path, (json.dumps(value) + "\n").encode())


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file that appears whole or not at all; its folder is made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as partial:
        partial.write_bytes(content)


# ---- wild and test: COCO person keypoints
def _write_coco(folder: Path, truth_path: Path, pieces: Iterator[Piece], what: str, size: tuple[int, int]) -> int:
    skeleton = skeletons.get("coco17")
    images, annotations, cameras = [], [], {}
    truth: dict[str, list[np.ndarray]] = {name: [] for name in Truth._fields}
    for piece in pieces:
        image_id, name = piece.number + 1, _coco_name(piece.number)
        images.append({"id": image_id, "file_name": name, "width": size[0], "height": size[1], "license": 1})
        cameras[name] = {key: value.tolist() for key, value in piece.image.items()}
        ids = image_id * _MOST + np.arange(piece.size)
        for at in range(piece.size):
            annotations.append(_coco_person(int(ids[at]), image_id, {k: v[at] for k, v in piece.people.items()}))
        known = {**piece.people, "annotation_id": ids, "image_id": np.full(piece.size, image_id)}
        for key, column in truth.items():
            if piece.size:
                column.append(known[key])
    category = {
        "id": 1,
        "name": "person",
        "supercategory": "person",
        "keypoints": list(skeleton.joints),
        "skeleton": [[a + 1, b + 1] for a, b in skeleton.edges],
    }
    truth_path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(truth_path) as partial:
        write_truth(partial, truth)
    write_json(folder / CAMERAS, cameras)
    content = {
        "info": {"description": f"pgtfast: {what}"},
        "licenses": [{"id": 1, "name": "made by pgtfast.synth"}],
        "images": images,
        "annotations": annotations,
        "categories": [category],
    }
    write_json(folder / COCO, content)
    return len(annotations)


def _coco_person(annotation_id: int, image_id: int, person: dict[str, np.ndarray]) -> dict[str, Any]:
    flags = person["flags"].tolist()
    points = person["keypoints"].tolist()
    return {
        "id": annotation_id,
        "image_id": image_id,
        "category_id": 1,
        "iscrowd": 0,
        "bbox": _round(person["bbox"], 2),
        "area": round(float(person["area"]), 2),
        "num_keypoints": sum(flag > 0 for flag in flags),
        "keypoints": [v for (x, y), flag in zip(points, flags, strict=True) for v in (round(x, 2), round(y, 2), flag)],
    }


# ---- bridge: 3DPW as the paper's authors give it
def _write_bridge(folder: Path, pieces: Iterator[Piece], size: tuple[int, int]) -> int:
    images, annotations = [], []
    for piece in pieces:
        image_id = piece.number + 1
        sequence, name = _bridge_name(piece.number)
        images.append(
            {
                "id": image_id,
                "sequence": sequence,
                "file_name": name,
                "width": size[0],
                "height": size[1],
                "cam_param": {"focal": piece.image["focal"].tolist(), "princpt": piece.image["center"].tolist()},
            }
        )
        for at in range(piece.size):
            person = {key: value[at] for key, value in piece.people.items()}
            pose = np.concatenate((person["global_orient"], person["body_pose"]))
            param = {
                "pose": _exact(pose), "shape": _exact(person["betas"]), "trans": _exact(person["transl"]),
                "gender": "neutral",
            }  # fmt: skip
            annotations.append(
                {
                    "id": image_id * _MOST + at,
                    "image_id": image_id,
                    "category_id": 1,
                    "person_id": at,
                    "bbox": _round(person["bbox"], 2),
                    "smpl_param": param,
                }
            )
    categories = [{"id": 1, "name": "person"}]
    write_json(folder / BRIDGE, {"images": images, "annotations": annotations, "categories": categories})
    return len(annotations)


# ---- studio: Human3.6M as the paper's authors give it
def _write_studio(folder: Path, pieces: Iterator[Piece], seed: int, size: tuple[int, int]) -> int:
    body = load_body("free").to(dtype=torch.float64)
    files: dict[int, dict[str, Any]] = {
        s: {"data": {"images": [], "annotations": []}, "camera": {}, "joint_3d": {}, "body": {}}
        for s in studio.SUBJECTS
    }
    rest: dict[int, torch.Tensor] = {}
    count = 0
    for piece in pieces:
        moment = studio.moment_of(piece.number)
        file = files[moment.subject]
        camera = studio.calibration_of(studio.view_of(seed, size, moment))
        file["camera"][str(moment.camera)] = {
            "R": camera.rotation.tolist(), "t": camera.translation.tolist(), "f": camera.focal.tolist(),
            "c": camera.center.tolist(),
        }  # fmt: skip
        image_id = piece.number + 1
        image = {
            "id": image_id, "file_name": _studio_name(piece.number), "width": size[0], "height": size[1],
            "subject": moment.subject,
            "action_name": studio.ACTIONS[moment.action], "action_idx": moment.action, "subaction_idx": 1,
            "cam_idx": moment.camera, "frame_idx": moment.frame,
        }  # fmt: skip
        file["data"]["images"].append(image)
        if not piece.size:
            continue
        count += 1
        person = {key: value[0].astype(np.float64) for key, value in piece.people.items()}
        seen = person["h36m17"][:, :2] / person["h36m17"][:, 2:] * camera.focal + camera.center
        inside = ((seen > -0.5) & (seen < np.array(size) - 0.5)).all(1)
        file["data"]["annotations"].append(
            {"id": image_id, "image_id": image_id, "keypoints_vis": inside.tolist(), "bbox": _round(person["bbox"], 2)}
        )
        frames = file["joint_3d"].setdefault(str(moment.action), {}).setdefault("1", {})
        if str(moment.frame) in frames:  # another camera has told it
            continue
        joints = (person["h36m17"] * 1000 - camera.translation) @ camera.rotation
        frames[str(moment.frame)] = np.round(joints, 4).tolist()
        if moment.subject not in rest:
            rest[moment.subject] = body(betas=torch.from_numpy(person["betas"])).joints[0]
        placed = body_to_world(
            torch.from_numpy(person["global_orient"]),
            torch.from_numpy(person["transl"]),
            rest[moment.subject],
            torch.from_numpy(camera.rotation),
            torch.from_numpy(camera.translation / 1000),
        )
        file["body"].setdefault(str(moment.action), {}).setdefault("1", {})[str(moment.frame)] = {
            "pose": _exact(np.concatenate((placed.global_orient.numpy(), person["body_pose"]))),
            "shape": _exact(person["betas"]),
            "trans": _exact(placed.transl.numpy()),
        }
    for subject, file in files.items():
        start = folder / "annotations" / f"Human36M_subject{subject}"
        for name in ("camera", "joint_3d"):
            write_json(start.with_name(f"{start.name}_{name}.json"), file[name])
        write_json(start.with_name(f"{start.name}_SMPL_NeuralAnnot.json"), file["body"])
        write_json(start.with_name(f"{start.name}_data.json"), file["data"])
    return count


# ---- names and numbers
def _coco_name(number: int) -> str:
    return f"{number + 1:012d}.jpg"


def _bridge_name(number: int) -> tuple[str, str]:
    sequence, frame = divmod(number, _SEQUENCE)
    return f"free_{sequence:04d}_00", f"image_{frame:05d}.jpg"


def _studio_name(number: int) -> str:
    moment = studio.moment_of(number)
    folder = f"s_{moment.subject:02d}_act_{moment.action:02d}_subact_01_ca_{moment.camera:02d}"
    return f"{folder}/{folder}_{moment.frame + 1:06d}.jpg"


def _round(values: np.ndarray, digits: int) -> list[float]:
    return [round(v, digits) for v in values.tolist()]


def _exact(values: Sequence[float] | np.ndarray) -> list[float]:
    """With the nine digits that hold float32 exactly."""
    return [float(f"{v:.9g}") for v in values]
