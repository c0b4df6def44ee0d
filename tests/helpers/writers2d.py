"""Writers of small datasets in the layouts that the 2D readers read, and where the real samples lie."""

from __future__ import annotations

import json
import os
import pickle
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pgtfast import skeletons

SHARED = Path(os.environ.get("PGTFAST_SHARED", Path(__file__).parents[3] / "shared")) / "data"
COCO = Path(__file__).parents[1] / "golden" / "coco" / "annotations" / "person_keypoints_train2017.json"
"""What COCO's file says of 80 images: 172 people, 86 of them with keypoints."""
SIZE = (60, 40)


def shared(*parts: str) -> Path:
    """A real sample, or a visible skip."""
    path = SHARED.joinpath(*parts)
    if not path.exists():
        pytest.skip(f"shared data not found: {path}")
    return path


def write_picture(path: Path, size: tuple[int, int] = SIZE) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, (90, 120, 150)).save(path)


def write_detailed_picture(path: Path, size: tuple[int, int]) -> None:
    """A JPEG of smooth blobs of all colours (seeded by its name), in which a crop that is off by a pixel can be
    seen."""
    rng = np.random.default_rng(list(path.name.encode()))
    coarse = rng.integers(0, 256, (max(2, size[1] // 16), max(2, size[0] // 16), 3), dtype=np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC).save(path, quality=90)


def write_json(path: Path, content: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))
    return path


def points(count: int, seed: int = 0, size: tuple[int, int] = SIZE) -> np.ndarray:
    """(count, 2) whole pixels inside a picture of that size."""
    return np.random.default_rng(seed).integers(5, np.array(size) - 5, (count, 2)).astype(float)


def coco_content(
    landmark_set: str, people: int = 3, size: tuple[int, int] = SIZE, folder: str = "", flag: float = 2
) -> dict:
    """A file in COCO's layout: two people in the first picture, one in each other."""
    joints = skeletons.get(landmark_set).joints
    images, annotations = [], []
    for at in range(people):
        number = max(0, at - 1)
        if at != 1:
            images.append({"id": number, "file_name": f"{folder}{number:03d}.jpg", "width": size[0], "height": size[1]})
        where = points(len(joints), at, size)
        low, high = where.min(0), where.max(0)
        annotations.append(
            {
                "id": 100 + at,
                "image_id": number,
                "category_id": 1,
                "iscrowd": 0,
                "num_keypoints": len(joints),
                "bbox": [*low.tolist(), *(high - low).tolist()],
                "keypoints": np.c_[where, np.full(len(joints), flag)].ravel().tolist(),
            }
        )
    category = {"id": 1, "name": "person", "keypoints": list(joints)}
    return {"images": images, "annotations": annotations, "categories": [category]}


def write_pictures(folder: Path, content: dict, size: tuple[int, int] | None = None) -> None:
    for image in content["images"]:
        write_picture(folder / image["file_name"], size or (image["width"], image["height"]))


def add_wholebody(content: dict) -> dict:
    """The file with feet and hands for each person, in place."""
    for at, entry in enumerate(content["annotations"]):
        for key, count in (("foot", 6), ("lefthand", 21), ("righthand", 21)):
            where = points(count, 50 + at)
            entry[f"{key}_kpts"] = np.c_[where, np.full(count, 2)].ravel().tolist()
            entry[f"{key}_valid"] = True
    return content


def mpii_entry(number: int, **changes: object) -> dict:
    where = points(16, number)
    entry = {
        "image": f"{number:09d}.jpg",
        "joints": where.tolist(),
        "joints_vis": [1] * 16,
        "center": where.mean(0).tolist(),
        "scale": 0.2,
    }
    return {**entry, **changes}


def write_lspet(root: Path, count: int = 3, suffix: str = ".png", invisible: tuple[int, ...] = (0, 7)) -> np.ndarray:
    """(count, 14, 3), as written: invisible joints at a negative place."""
    from scipy.io import savemat

    joints = np.stack([np.c_[points(14, number), np.ones(14)] for number in range(count)])
    joints[:, list(invisible)] = (-26.1, 0, 0)
    root.mkdir(parents=True, exist_ok=True)
    savemat(root / "joints.mat", {"joints": joints.transpose(1, 2, 0)})
    for number in range(count):
        write_picture(root / "images" / f"im{number + 1:05d}{suffix}")
    return joints


def write_up3d(root: Path, split: str = "trainval", count: int = 2, **fit: object) -> dict:
    """The fit of every picture: of a body in front of a camera of focal 5000."""
    root.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(3)
    values = {
        "pose": rng.normal(size=72), "betas": rng.normal(size=10), "trans": np.array([0.1, 0.2, 0.3]),
        "rt": np.zeros(3), "t": np.array([0.0, 0.1, 20.0]), "f": 5000.0, **fit,
    }  # fmt: skip
    for number in range(count):
        write_picture(root / f"{number:05d}_image.png")
        np.save(root / f"{number:05d}_joints.npy", np.c_[points(14, number), np.ones(14)].T)
        (root / f"{number:05d}_body.pkl").write_bytes(pickle.dumps(values, protocol=2))
    (root / f"{split}.txt").write_text("".join(f"/{number:05d}_image.png\n" for number in range(count)))
    return values


def insta_columns(count: int = 4) -> dict[str, np.ndarray]:
    joints = np.stack([np.c_[points(25, number), np.ones(25)] for number in range(count)])
    joints[:, 3] = 0
    return {
        "joints2D": joints,
        "vid_name": np.array(
            [f"/their/insta_variety_img/train/walk.tfrecord-{number // 2}" for number in range(count)]
        ),
        "frame_id": np.arange(count) % 2,
    }


class NumpyArrayWrapper:
    """Stands for joblib's class of that name, whose objects describe the bytes that follow them."""


class _JoblibPickler(pickle._Pickler):  # type: ignore[name-defined]
    """Writes arrays as joblib.dump does: a description, then padding to 16 bytes, then the bytes."""

    def __init__(self, file: Any, pad: bool) -> None:
        super().__init__(file, protocol=3)
        self.file, self.pad = file, pad

    def save(self, obj: Any, *args: Any, **kwargs: Any) -> None:
        if not isinstance(obj, np.ndarray):
            return super().save(obj, *args, **kwargs)
        wrapper = NumpyArrayWrapper()
        order = "F" if obj.flags.f_contiguous and not obj.flags.c_contiguous else "C"
        wrapper.__dict__.update(subclass=np.ndarray, shape=obj.shape, order=order, dtype=obj.dtype, allow_mmap=True)
        if self.pad:
            wrapper.__dict__["numpy_array_alignment_bytes"] = 16
        super().save(wrapper)
        if obj.dtype.hasobject:
            self.file.write(pickle.dumps(obj, protocol=2))
            return None
        if self.pad:
            padding = 16 - (self.file.tell() + 1) % 16
            self.file.write(bytes([padding]) + b"\xff" * padding)
        self.file.write(obj.tobytes(order))
        return None


def write_joblib(path: Path, content: Any, *, pad: bool = True) -> Path:
    """The bytes that joblib.dump(content, path) writes, without joblib."""
    path.parent.mkdir(parents=True, exist_ok=True)
    names = ("joblib", "joblib.numpy_pickle")
    kept = {name: sys.modules.get(name) for name in names}
    module = types.ModuleType(names[1])
    module.NumpyArrayWrapper = NumpyArrayWrapper  # type: ignore[attr-defined]
    before = NumpyArrayWrapper.__module__
    NumpyArrayWrapper.__module__ = names[1]
    try:
        sys.modules.update({names[0]: types.ModuleType(names[0]), names[1]: module})
        with open(path, "wb") as file:
            _JoblibPickler(file, pad).dump(content)
    finally:
        NumpyArrayWrapper.__module__ = before
        for name, old in kept.items():
            if old is None:
                del sys.modules[name]
            else:
                sys.modules[name] = old
    return path


def write_studio(root: Path, *, subjects: tuple[int, ...] = (1,), frames: tuple[int, ...] = (0, 1, 5)) -> None:
    """A set in Human3.6M's layout, bodies included: people 4 m before a camera that stands in the world's origin."""
    identity = {"R": np.eye(3).tolist(), "t": [0, 0, 0], "f": [60, 60], "c": [29.5, 19.5]}
    for subject in subjects:
        start = root / "annotations" / f"Human36M_subject{subject}"
        data: dict[str, list] = {"images": [], "annotations": []}
        joints, bodies = {}, {}
        for frame in frames:
            number = subject * 100 + frame
            image = {
                "id": number,
                "file_name": f"s{subject}/{frame:06d}.jpg",
                "width": SIZE[0],
                "height": SIZE[1],
                "subject": subject,
                "action_idx": 2,
                "subaction_idx": 1,
                "cam_idx": 1,
                "frame_idx": frame,
            }
            data["images"].append(image)
            data["annotations"].append({"id": number, "image_id": number, "bbox": [20, 5, 20, 30]})
            rng = np.random.default_rng(number)
            joints[str(frame)] = (rng.uniform(-500, 500, (17, 3)) + np.array((0, 0, 4000))).tolist()
            bodies[str(frame)] = {"pose": rng.normal(size=72).tolist(), "shape": [0.1] * 10, "trans": [0, 0, 4]}
            write_picture(root / "images" / image["file_name"])
        for name, value in (
            ("data", data),
            ("camera", {"1": identity}),
            ("joint_3d", {"2": {"1": joints}}),
            ("SMPL_NeuralAnnot", {"2": {"1": bodies}}),
        ):
            write_json(start.with_name(f"{start.name}_{name}.json"), value)


def write_bridge(root: Path, split: str = "train", count: int = 3) -> None:
    """A set in 3DPW's layout as the paper's authors give it: people 4 m before the camera."""
    images, annotations = [], []
    for number in range(count):
        name = f"image_{number:05d}.jpg"
        images.append(
            {
                "id": number, "sequence": "street_00", "file_name": name, "width": SIZE[0], "height": SIZE[1],
                "cam_param": {"focal": [60, 60], "princpt": [29.5, 19.5]},
            }
        )  # fmt: skip
        param = {"pose": [3.1, 0, 0] + [0.05] * 69, "shape": [0.1] * 10, "trans": [0, 0, 4], "gender": "neutral"}
        annotations.append({"id": number, "image_id": number, "bbox": [20, 5, 20, 30], "smpl_param": param})
        write_picture(root / "imageFiles" / "street_00" / name)
    write_json(root / f"3DPW_{split}.json", {"images": images, "annotations": annotations})


def write_mark(root: Path, name: str) -> None:
    """Says that the set is of a free world."""
    write_json(root / "pgtfast_world.json", {"body": "free", "prior": "free", "set": name})
