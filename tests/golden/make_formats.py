"""Writes tests/golden/formats: one file of each foreign format, from its published layout, with numpy, json, pickle and
tarfile alone.

python tests/golden/make_formats.py
"""

from __future__ import annotations

import io
import json
import pickle
import tarfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

FOLDER = Path(__file__).parent / "formats"
JPEG = bytes.fromhex("ffd8ffc0001108001000200301220002110103110100ffd9")
"""Start of image, a frame header of 32 x 16 pixels, end of image."""


def ramp(size: int, start: float = 0) -> list[float]:
    """0.01 apart, in decimal digits as people type them."""
    return [round(start + 0.01 * at, 2) for at in range(size)]


def put(name: str, content: object) -> None:
    (FOLDER / name).write_text(json.dumps(content) + "\n")


def json_files() -> None:
    camera = {"focal": [1000.5, 1001.5], "princpt": [320.25, 240.75]}
    smpl = {"pose": ramp(72), "shape": ramp(10, 1), "trans": [0.1, -0.2, 30.5]}
    put("MSCOCO_train_SMPL_NeuralAnnot.json", {"183545": {"smpl_param": smpl, "cam_param": camera, "fit_err": 3.5}})
    whole = {
        "root_pose": ramp(3),
        "body_pose": ramp(63, 1),
        "shape": ramp(10, 2),
        "trans": [0.1, -0.2, 30.5],
        "lhand_pose": ramp(45, -1),
        "rhand_pose": ramp(45, -2),
        "jaw_pose": [0.3, 0, 0.1],
        "expr": ramp(10, 3),
    }
    put("MSCOCO_train_SMPLX_all_NeuralAnnot.json", {"476384": {"smplx_param": whole, "cam_param": camera}})
    rows = [whole["body_pose"][at : at + 3] for at in range(0, 63, 3)]
    put(
        "3DPW_train_SMPLX_NeuralAnnot.json",
        {"7": {**{k: whole[k] for k in ("root_pose", "shape", "trans")}, "body_pose": rows}},
    )
    rotations = np.tile(np.eye(3), (24, 1, 1))
    rotations[0] = [[0, -1, 0], [1, 0, 0], [0, 0, 1]]  # a quarter turn about z
    person = {
        "parm_pose": rotations.tolist(),
        "parm_shape": ramp(10),
        "parm_cam": [0.8, 0.08, -0.16],
        "bbox_scale": 1.5,
        "bbox_center": [200.0, 150.0],
        "joint_validity_openpose18": [True] * 18,
        "smpltype": "smpl",
        "annotId": 183545,
        "imageName": "COCO_train2014_000000000036.jpg",
        "subjectId": None,
    }
    put("COCO2014-Part-ver01.json", {"ver": 0.1, "data": [person]})


def npz_files() -> None:
    framed = {"imgname": np.array(["train2014/a.jpg"]), "center": np.array([[100.0, 120.0]]), "scale": np.array([1.25])}
    pose, shape = np.array([ramp(72)]), np.array([ramp(10, 1)])
    part = np.zeros((1, 24, 3))
    part[0, 3] = [11, 12, 1]
    np.savez(
        FOLDER / "coco_2014_train.npz",
        **framed,
        part=part,
        openpose=np.zeros((1, 25, 3)),
        pose=pose,
        shape=shape,
        has_smpl=np.ones(1),
        S=np.zeros((1, 24, 4)),
        gender=np.array(["f"]),
    )
    np.save(FOLDER / "coco_fits.npy", np.concatenate([pose, shape], 1))
    np.savez(
        FOLDER / "coco2014part_cliffGT.npz",
        **framed,
        part=part,
        annot_id=np.array([183545]),
        pose=pose,
        shape=shape,
        has_smpl=np.ones(1),
        global_t=np.array([[0.1, -0.2, 5.5]]),
        focal_l=np.array([800.0]),
        S=np.zeros((1, 24, 4)),
    )
    cam_int = np.array([[[1000.5, 0, 320.25], [0, 1001.5, 240.75], [0, 0, 1]]])
    np.savez(
        FOLDER / "coco_camsmplify.npz",
        **framed,
        pose=pose,
        shape=shape,
        cam_int=cam_int,
        cam_t=np.array([[0.1, -0.2, 5.5]]),
        gt_keypoints=np.zeros((1, 44, 3)),
        dense_kp=np.zeros((1, 138, 3)),
    )
    cam_ext = np.eye(4)[None].copy()
    cam_ext[0, :3, 3] = [0.5, 0.25, 1.0]
    np.savez(
        FOLDER / "bedlam_scene.npz",
        **framed,
        pose_cam=np.array([ramp(165)]),
        shape=np.array([ramp(11)]),
        cam_int=cam_int,
        cam_ext=cam_ext,
        trans_cam=np.array([[0.125, -0.25, 4.0]]),
        gtkps=np.zeros((1, 24, 3)),
        proj_verts=np.zeros((1, 437, 3)),
        gender=np.array(["male"]),
    )
    smplx = {
        "global_orient": np.array([ramp(3)]),
        "body_pose": np.array(ramp(63, 1)).reshape(1, 21, 3),
        "betas": np.array([ramp(10, 2)]),
        "transl": np.array([[0.1, -0.2, 5.5]]),
        "left_hand_pose": np.array(ramp(45, -1)).reshape(1, 15, 3),
        "right_hand_pose": np.array(ramp(45, -2)).reshape(1, 15, 3),
        "jaw_pose": np.array([[0.3, 0, 0.1]]),
        "leye_pose": np.zeros((1, 3)),
        "reye_pose": np.ones((1, 3)),
        "expression": np.array([ramp(10, 3)]),
    }
    np.savez_compressed(
        FOLDER / "humandata.npz",
        image_path=np.array(["images/a.jpg"]),
        bbox_xywh=np.array([[10.0, 20, 30, 40, 1]]),
        smplx=smplx,
        meta={"gender": ["female"]},
        config="coco",
        misc={"focal_length": np.array([900.0]), "principal_point": np.array([[320.0, 240]])},
        keypoints2d_mask=np.zeros(190),
        __key_strict__=False,
        __keypoints_compressed__=False,
    )


def others() -> None:
    person = {
        "keypoints_2d": np.tile(np.array([5.0, 6, 0.5], np.float32), (44, 1)),
        "keypoints_3d": np.zeros((44, 4), np.float32),
        "center": np.array([100.0, 120.0]),
        "scale": np.array([1.25, 1.25]),
        "body_pose": np.array(ramp(72), np.float32),
        "has_body_pose": np.float64(1),
        "betas": np.array(ramp(10, 1), np.float32),
        "has_betas": np.float64(1),
        "extra_info": {"fitting_loss": {"reprojection_loss": 1.5}},
    }
    with tarfile.open(FOLDER / "000000.tar", "w") as tar:
        for name, data in (("a.jpg", JPEG), ("a.data.pyd", pickle.dumps([person], 2)), ("a.detection.npz", b"")):
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
    result = {
        "camera_rotation": np.eye(3, dtype=np.float32)[None],
        "camera_translation": np.array([[0.1, -0.2, 25.5]], np.float32),
        "betas": np.array([ramp(10, 1)], np.float32),
        "global_orient": np.array([ramp(3)], np.float32),
        "body_pose": np.array([ramp(63, 1)], np.float32),
        "left_hand_pose": np.zeros((1, 12), np.float32),
        "right_hand_pose": np.zeros((1, 12), np.float32),
        "jaw_pose": np.array([[0.3, 0, 0.1]], np.float32),
        "leye_pose": np.zeros((1, 3), np.float32),
        "reye_pose": np.zeros((1, 3), np.float32),
        "expression": np.array([ramp(10, 3)], np.float32),
    }
    folder = FOLDER / "smplifyx" / "results" / "000001"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "000.pkl").write_bytes(pickle.dumps(result, 2))
    points = np.tile([7.0, 8.0, 1.0], (70, 1))
    columns = {
        "dataset": ["coco"],
        "image": ["a.jpg"],
        "person_id": [0],
        "keypoints_2d": [points.tolist()],
        "keypoints_3d": [np.zeros((70, 4)).tolist()],
        "cam_int": [[[600.0, 0, 320], [0, 600, 240], [0, 0, 1]]],
        "bbox": [[10.0, 20, 110, 220]],
        "bbox_format": ["xyxy"],
        "mhr_valid": [True],
    }
    pq.write_table(pa.table(columns), FOLDER / "sam3d_body.parquet")


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    json_files()
    npz_files()
    others()
