"""Pose priors."""

from __future__ import annotations

from pathlib import Path

from pgtfast.train import PriorConfig


def free() -> PriorConfig:
    """The prior that ships as ``load_vposer("free")``: CMU motion capture, subjects 01 to 03."""
    return PriorConfig(
        poses=Path("../shared/data/poses/cmu_smpl_pose_10hz.npz"),
        # one of each kind: playground forward jumps, climbing, walk, punches, swordplay, uneven terrain
        held_out=("01_03.amc", "01_09.amc", "02_02.amc", "02_05.amc", "02_09.amc", "03_03.amc"),
        out=Path("runs/free_prior"),
    )


def amass() -> PriorConfig:
    """The same on AMASS alone, which everyone downloads for themselves: give its folder with --amass DIR."""
    return PriorConfig(
        poses=None,
        amass=Path("amass"),
        held_out_every=20,
        steps=100_000,
        batch_size=1024,
        mixed=0.1,
        out=Path("runs/amass_prior"),
    )
