"""Writes 3D datasets in their documented layouts, of free bodies whose truth is known."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch

from pgtfast.body import BodyModel, load_body
from pgtfast.reference import rotvec_to_matrix
from tests.helpers.pickles import Python2Writer

SHARED = Path(os.environ.get("PGTFAST_SHARED", Path(__file__).parents[3] / "shared")) / "data"


def shared(name: str) -> Path:
    """A file or folder of the shared samples; the test is skipped where they are absent."""
    if not (SHARED / name).exists():
        pytest.skip(f"{SHARED / name} of the shared samples is absent")
    return SHARED / name


@cache
def free() -> BodyModel:
    return load_body("free").to(dtype=torch.float64)


@dataclass(frozen=True)
class Scene:
    """N bodies in a world, seen by C cameras."""

    pose: np.ndarray
    betas: np.ndarray
    transl: np.ndarray
    rotation: np.ndarray
    """(C, 3, 3) world to camera."""
    translation: np.ndarray
    """(C, 3) metres."""
    focal: np.ndarray
    center: np.ndarray
    size: tuple[int, int] = (1000, 1002)

    def joints(self, name: str) -> np.ndarray:
        """(N, K, 3) in the world, metres."""
        return landmarks(name, self.pose, self.betas, self.transl)

    def in_camera(self, points: np.ndarray, camera: int) -> np.ndarray:
        return points @ self.rotation[camera].T + self.translation[camera]

    def pixels(self, points: np.ndarray, camera: int) -> np.ndarray:
        seen = self.in_camera(points, camera)
        return seen[..., :2] / seen[..., 2:] * self.focal[camera] + self.center[camera]

    def box(self, body: int, camera: int) -> list[float]:
        points = self.pixels(self.joints("smpl24")[body], camera)
        low, high = points.min(0), points.max(0)
        return [*low.tolist(), *(high - low).tolist()]


def landmarks(name: str, pose: np.ndarray, betas: np.ndarray, transl: np.ndarray) -> np.ndarray:
    p, b, t = (torch.from_numpy(np.asarray(a, np.float64)) for a in (pose, betas, transl))
    return free().landmarks(name)(global_orient=p[..., :3], body_pose=p[..., 3:], betas=b, transl=t).numpy()


@cache
def scene(bodies: int = 3, cameras: int = 2, seed: int = 0) -> Scene:
    """Bodies of different shapes about the origin of a world with z up, cameras all around at 5 m."""
    rng = np.random.default_rng(seed)
    pose = rng.normal(0, 0.25, (bodies, 72))
    pose[:, :3] = rng.normal((np.pi / 2, 0, 0), 0.3, (bodies, 3))
    yaw = torch.from_numpy(np.stack([np.zeros(cameras), np.zeros(cameras), np.arange(cameras) * 1.7 + 0.4], 1))
    level = np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])
    turned = rotvec_to_matrix(torch.from_numpy(rng.normal(0, 0.1, (cameras, 3)))).numpy()
    rotation = turned @ level @ rotvec_to_matrix(yaw).numpy()
    return Scene(
        pose,
        rng.normal(0, 1, (bodies, 10)),
        rng.normal((0, 0, 1), 0.3, (bodies, 3)),
        rotation,
        np.array([0.0, 1.0, 5.0]) + rng.normal(0, 0.1, (cameras, 3)),
        rng.normal(1145, 5, (cameras, 2)),
        rng.normal(510, 5, (cameras, 2)),
    )


def write(path: Path, content: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))
    return path


def smpl(pose: np.ndarray, betas: np.ndarray, transl: np.ndarray, **more: object) -> dict:
    return {"pose": pose.tolist(), "shape": betas.tolist(), "trans": transl.tolist(), **more}


def h36m(folder: Path, made: Scene, *, subject: int = 1, first_id: int = 1000, step: int = 5) -> Path:
    """The trio of a subject and its NeuralAnnot file; body n is frame n * step of action 2, subaction 1."""
    images, annotations = [], []
    for frame in range(len(made.pose)):
        for camera in range(len(made.rotation)):
            number = first_id + len(images)
            name = f"s_{subject:02d}_act_02_subact_01_ca_{camera + 1:02d}/{frame * step + 1:06d}.jpg"
            images.append({
                "id": number, "file_name": name, "width": made.size[0], "height": made.size[1], "subject": subject,
                "action_name": "Directions", "action_idx": 2, "subaction_idx": 1, "cam_idx": camera + 1,
                "frame_idx": frame * step,
            })  # fmt: skip
            annotations.append({"id": number, "image_id": number, "bbox": made.box(frame, camera)})
    cameras = {
        str(c + 1): {
            "R": made.rotation[c].tolist(), "t": (made.translation[c] * 1000).tolist(),
            "f": made.focal[c].tolist(), "c": made.center[c].tolist(),
        }
        for c in range(len(made.rotation))
    }  # fmt: skip
    joints = {str(n * step): (points * 1000).tolist() for n, points in enumerate(made.joints("h36m17"))}
    bodies = {str(n * step): smpl(made.pose[n], made.betas[n], made.transl[n]) for n in range(len(made.pose))}
    stem = f"Human36M_subject{subject}"
    write(folder / f"{stem}_data.json", {"images": images, "annotations": annotations})
    write(folder / f"{stem}_camera.json", cameras)
    write(folder / f"{stem}_joint_3d.json", {"2": {"1": joints}})
    write(folder / f"{stem}_SMPL_NeuralAnnot.json", {"2": {"1": bodies}})
    return folder


def mpi(folder: Path, made: Scene, *, size: int = 1024) -> Path:
    """MPI-INF-3DHP's 1k files: subject 1, sequence 2; body n is frame 3 n."""
    scale = size / 1024
    images, annotations = [], []
    for frame in range(len(made.pose)):
        for camera in range(len(made.rotation)):
            number = len(images)
            images.append({
                "id": number, "file_name": f"img_{camera}_{3 * frame:06d}.jpg", "width": 1024, "height": 1024,
                "subject_idx": 1, "seq_idx": 2, "cam_idx": camera, "frame_idx": 3 * frame,
            })  # fmt: skip
            annotations.append({"id": number + 70, "image_id": number, "bbox": made.box(frame, camera)})
    cameras = {
        str(c): {
            "R": made.rotation[c].tolist(), "t": (made.translation[c] * 1000).tolist(),
            "focal": (made.focal[c] * scale).tolist(), "princpt": (made.center[c] * scale).tolist(),
        }
        for c in range(len(made.rotation))
    }  # fmt: skip
    joints = {str(3 * n): (points * 1000).tolist() for n, points in enumerate(made.joints("mupots17"))}
    bodies = {str(3 * n): smpl(made.pose[n], made.betas[n], made.transl[n]) for n in range(len(made.pose))}
    write(folder / "MPI-INF-3DHP_1k.json", {"images": images, "annotations": annotations})
    write(folder / "MPI-INF-3DHP_camera_1k.json", {"1": {"2": cameras}})
    write(folder / "MPI-INF-3DHP_joint_3d.json", {"1": {"2": joints}})
    write(folder / "MPI-INF-3DHP_SMPL_NeuralAnnot.json", {"1": {"2": bodies}})
    return folder


def in_front(bodies: int = 4, seed: int = 1) -> Scene:
    """Bodies in the space of one camera that is the world."""
    rng = np.random.default_rng(seed)
    pose = rng.normal(0, 0.25, (bodies, 72))
    pose[:, :3] = rng.normal((np.pi, 0, 0), 0.3, (bodies, 3))
    transl = np.stack([np.linspace(-1, 1, bodies), rng.normal(0, 0.2, bodies), rng.uniform(4, 6, bodies)], 1)
    return Scene(
        pose,
        rng.normal(0, 1, (bodies, 10)),
        transl,
        np.eye(3)[None],
        np.zeros((1, 3)),
        np.array([[1961.0, 1969.2]]),
        np.array([[540.0, 960.0]]),
        (1080, 1920),
    )


def pw3d(path: Path, made: Scene, *, gender: object = "neutral", openpose: bool = False) -> Path:
    """3DPW_*.json: two people an image."""
    images, annotations = [], []
    for person in range(len(made.pose)):
        if person % 2 == 0:
            images.append({
                "id": len(images), "sequence": "downtown_arguing_00", "file_name": f"image_{len(images):05d}.jpg",
                "width": made.size[0], "height": made.size[1],
                "cam_param": {"focal": made.focal[0].tolist(), "princpt": made.center[0].tolist()},
            })  # fmt: skip
        entry = {
            "id": 500 + person, "image_id": images[-1]["id"], "bbox": made.box(person, 0),
            "smpl_param": smpl(made.pose[person], made.betas[person], made.transl[person], gender=gender),
        }  # fmt: skip
        if openpose:
            points = made.pixels(made.joints("smpl24")[person, :18], 0)
            entry["openpose_result"] = np.concatenate([points, np.linspace(0, 1.2, 18)[:, None]], 1).tolist()
        annotations.append(entry)
    return write(path, {"images": images, "annotations": annotations})


def pw3d_sequence(
    path: Path, made: Scene, *, people: int = 2, name: str = "courtyard_hug_00", **changes: object
) -> Path:
    """An official sequence file as Python 2 wrote it: body n is frame n // people of person n % people, each frame its
    own camera.
    """
    frames = len(made.pose) // people
    extrinsics = np.tile(np.eye(4), (frames, 1, 1))
    extrinsics[:, :3, :3], extrinsics[:, :3, 3] = made.rotation[:frames], made.translation[:frames]
    matrix = np.eye(3)
    matrix[[0, 1], [0, 1]], matrix[:2, 2] = made.focal[0], made.center[0]
    each = [np.arange(frames) * people + person for person in range(people)]
    points = np.stack([
        np.concatenate([_openpose(made, n, n // people), np.ones((1, 18))]) for n in range(len(made.pose))
    ])  # fmt: skip
    content: dict[str, object] = {
        "sequence": name,
        "poses": [made.pose[rows] for rows in each],
        "trans": [made.transl[rows] for rows in each],
        "betas": [np.concatenate([made.betas[rows[0]], np.zeros(0)]) for rows in each],
        "genders": ["m", "f"][:people],
        "campose_valid": [np.ones(frames, np.int64) for _ in each],
        "poses2d": [points[rows] for rows in each],
        "cam_poses": extrinsics,
        "cam_intrinsics": matrix,
        "img_frame_ids": np.arange(frames) * 2,
    }
    content.update(changes)
    content = {key: value for key, value in content.items() if value is not None}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(Python2Writer(2).dump(content))
    return path


def _openpose(made: Scene, body: int, camera: int) -> np.ndarray:
    return made.pixels(made.joints("smpl24")[body, :18], camera).T


def muco(path: Path, made: Scene, *, bodies: Path | None = None) -> Path:
    """MuCo-3DHP.json: two people an image; the hands and toes are the feet and hands of SMPL."""
    trunk, limbs = made.joints("mupots17"), made.joints("smpl24")[:, [23, 22, 11, 10]]
    points = np.concatenate([trunk, limbs], 1)
    images, annotations = [], []
    for person in range(len(points)):
        if person % 2 == 0:
            images.append({
                "id": len(images), "file_name": f"augmented_set/000/{len(images):05d}.jpg", "width": made.size[0],
                "height": made.size[1], "f": made.focal[0].tolist(), "c": made.center[0].tolist(),
            })  # fmt: skip
        annotations.append({
            "id": 30 + person, "image_id": images[-1]["id"], "bbox": made.box(person, 0),
            "keypoints_cam": (points[person] * 1000).tolist(), "keypoints_img": made.pixels(points[person], 0).tolist(),
        })  # fmt: skip
    if bodies is not None:
        held = {str(30 + n): smpl(made.pose[n], made.betas[n], made.transl[n]) for n in range(len(points)) if n != 1}
        write(bodies, held)
    return write(path, {"images": images, "annotations": annotations})


def mupots(path: Path, made: Scene) -> Path:
    """MuPoTS-3D.json: all people in one image, the second not valid."""
    points = made.joints("mupots17")
    image = {
        "id": 0, "file_name": "TS1/img_000000.jpg", "width": made.size[0], "height": made.size[1],
        "intrinsic": [*made.focal[0].tolist(), *made.center[0].tolist()],
    }  # fmt: skip
    annotations = [
        {
            "id": person, "image_id": 0, "bbox": made.box(person, 0), "is_valid": int(person != 1),
            "keypoints_cam": (points[person] * 1000).tolist(), "keypoints_img": made.pixels(points[person], 0).tolist(),
        }
        for person in range(len(points))
    ]  # fmt: skip
    return write(path, {"images": [image], "annotations": annotations})


def mupots_mat(path: Path, made: Scene, *, people: int = 2, lost: tuple[str, ...] = ()) -> Path:
    """annot.mat: body n is frame n // people of person n % people; the last cell is not valid."""
    from scipy.io import savemat

    points = made.joints("mupots17")
    cells = np.empty((len(points) // people, people), dtype=object)
    for n in range(len(points)):
        cell = {
            "annot2": made.pixels(points[n], 0).T, "annot3": points[n].T * 1000, "univ_annot3": points[n].T * 900,
            "isValidFrame": int(n != len(points) - 1),
        }  # fmt: skip
        cells[n // people, n % people] = {key: value for key, value in cell.items() if key not in lost}
    path.parent.mkdir(parents=True, exist_ok=True)
    savemat(path, {"annotations": cells})
    return path
