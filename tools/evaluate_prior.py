"""Print how a pose prior gives back the poses of a file.

python tools/evaluate_prior.py --prior free --poses POSES.npz [--clips 01_03.amc ...]
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

import pgtfast
from pgtfast.priors import BODY_JOINTS, prior_energy
from pgtfast.reference import rotvec_to_matrix
from pgtfast.train._evaluate_prior import geodesic_degrees
from pgtfast.train._poses import read_poses


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--prior", default="free", help="'free' or a file")
    parser.add_argument("--poses", type=Path, required=True, help="npz with poses (N, 24, 3) at 10 Hz and src (N,)")
    parser.add_argument("--clips", nargs="+", help="only these")
    options = parser.parse_args()
    prior = pgtfast.load_vposer(options.prior)
    poses = read_poses(options.poses, None)
    if options.clips:
        poses = poses.select(set(options.clips))
    with torch.no_grad():
        latent = prior.encode(poses.pose).mean
        error = geodesic_degrees(prior.decode(latent), rotvec_to_matrix(poses.pose))
    print(
        f"{poses.describe()}: {error.mean():.2f} degrees a joint, mean square of the latent "
        f"{prior_energy(latent).mean():.2f}"
    )
    for name, value in zip(BODY_JOINTS[:21], error.mean(0).tolist(), strict=True):
        print(f"  {name:15s}{value:6.1f}")


if __name__ == "__main__":
    main()
