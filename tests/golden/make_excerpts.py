"""Cut the excerpts of real data in this folder (origins and licences: README.md beside this file).

python tests/golden/make_excerpts.py --coco person_keypoints_train2017.json --poses cmu_smpl_pose_10hz.npz
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
IMAGES = HERE / "coco" / "annotations" / "person_keypoints_train2017.json"
POSES_OF_A_CLIP = 15


def cut_coco(source: Path, target: Path) -> None:
    """Entries of the images that `target` lists, as they stand in COCO's file: all people, outlines and crowds too."""
    content = json.loads(source.read_text())
    wanted = {image["id"] for image in json.loads(target.read_text())["images"]}
    kept = {
        **{key: content[key] for key in ("info", "licenses")},
        "images": [image for image in content["images"] if image["id"] in wanted],
        "annotations": [person for person in content["annotations"] if person["image_id"] in wanted],
        "categories": content["categories"],
    }
    target.write_text(json.dumps(kept))


def cut_poses(source: Path, target: Path) -> None:
    """The first poses of each clip, 10 a second: `poses` (N, 24, 3) radians, `src` (N,) names of clips."""
    with np.load(source) as held:
        poses, clips = held["poses"], held["src"]
    rows = np.concatenate([np.flatnonzero(clips == clip)[:POSES_OF_A_CLIP] for clip in np.unique(clips)])
    np.savez_compressed(target, poses=poses[rows], src=clips[rows])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--coco", type=Path, help="COCO's person_keypoints_train2017.json")
    parser.add_argument("--poses", type=Path, help="poses (N, 24, 3) and src (N,) of CMU motion capture")
    args = parser.parse_args()
    if args.coco:
        cut_coco(args.coco, IMAGES)
    if args.poses:
        cut_poses(args.poses, HERE / "poses" / "cmu_excerpt.npz")
