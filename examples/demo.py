"""A small free world, bodies fitted to its keypoints, and how far they are from the truth: what `make demo` runs.

python examples/demo.py [--out demo] [--images 48]

Run twice, it recognises what is finished. No download, no licensed file: body and prior are those in the package.
"""

from __future__ import annotations

import argparse
import json
import shlex
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

import pgtfast
from pgtfast import reference, skeletons
from pgtfast.formats import read_records
from pgtfast.metrics import mpjpe_mm, pa_mpjpe_mm, pve_mm
from pgtfast.synth import Truth, read_truth
from pgtfast.visuals import contact_sheet, render_overlay
from pgtfast.visuals.overlay import side_view

EVALUATED = "h36m17"
"""Landmark set of the free body that the errors are measured on: of its 17 joints the 14 that LSP has too, and the pelvis as the root."""


def main() -> int:
    """Make, fit, measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("demo"), help="folder of everything (default: demo)")
    parser.add_argument("--images", type=int, default=48, help="pictures of the world (default: %(default)s)")
    parser.add_argument(
        "--overlays", type=int, default=18, help="pictures drawn with their bodies (default: %(default)s)"
    )
    options = parser.parse_args()
    world, run = options.out / "world", options.out / "run"
    started = time.perf_counter()
    command("pgtfast.synth", world, "--images", options.images)
    command(
        "pgtfast.fit", "--coco", world / "annotations.json", "--images", world / "images", "--out", run,
        "--overlays", options.overlays, "--export", "neuralannot",
    )  # fmt: skip
    torch.set_num_threads(2)
    truth = read_truth(world)
    result = measure(run, truth)
    (options.out / "result.json").write_text(json.dumps(result, indent=1) + "\n")
    draw_against_truth(options.out / "against_truth.jpg", result["per_person"], run, world, truth)
    report(result, world, run, options.out)
    print(f"\n{time.perf_counter() - started:.0f} s in all")
    return 0


def command(module: str, *arguments: object) -> None:
    """Run one command of the package as a user would; stop where it stops."""
    line = [sys.executable, "-m", module, *map(str, arguments)]
    print(f"\n$ {shlex.join(['python', *line[1:]])}", flush=True)
    code = subprocess.run(line, check=False).returncode
    if code:
        sys.exit(code)


def measure(run: Path, truth: Truth) -> dict:
    """Errors of a run's bodies, and of one standing body for all, against the truth."""
    body, prior = pgtfast.load_body("free"), pgtfast.load_vposer("free")
    rows = read_records(run).to_pylist()
    skipped = Counter(row["reason"] for row in rows if not row["valid"])
    rows = [row for row in rows if row["valid"]]
    place = {int(number): at for at, number in enumerate(truth.annotation_id)}
    at = [place[row["annotation_id"]] for row in rows]
    names = ("global_orient", "body_pose", "betas", "transl")
    true = {name: torch.from_numpy(getattr(truth, name)[at]) for name in names}
    fitted = {name: torch.tensor([row[name] for row in rows]) for name in names}
    standing = standing_body(prior, len(rows))
    seen = torch.from_numpy(truth.visibility[at] > 0)
    focal, center = (torch.tensor([row[name] for row in rows]) for name in ("focal", "center"))
    points = body.landmarks("coco17")(**fitted)
    off = reference.project(points, focal, center) - torch.from_numpy(truth.landmarks_2d[at]).float()
    true_px = torch.linalg.vector_norm(off, dim=-1)
    return {
        "people": len(at),
        "skipped": dict(skipped),
        "fit": errors(body, fitted, true),
        "one standing body for all": errors(body, standing, true),
        "reprojection_px": float(np.mean([row["reprojection_px"] for row in rows])),
        "reprojection_percent_of_box": 100 * float(np.mean([row["reprojection_rel"] for row in rows])),
        "reprojection_of_true_keypoints_px": float(true_px[seen].mean()),
        "turned_by_more_than_90_degrees": int((facing_angle(fitted, true) > 90).sum()),
        "per_person": [
            {
                "annotation_id": row["annotation_id"],
                "pa_mpjpe_mm": round(float(pa), 1),
                "turned_degrees": round(float(turn)),
            }
            for row, pa, turn in zip(rows, pa_errors(body, fitted, true), facing_angle(fitted, true), strict=True)
        ],
    }


def standing_body(prior: pgtfast.VPoser, count: int) -> dict[str, Tensor]:
    """The mean shape in the pose at the prior's centre, upright and facing the camera."""
    pose = reference.matrix_to_rotvec(prior.decode(torch.zeros(32)))
    pose = torch.cat((pose, torch.zeros(2, 3))).flatten()
    return {
        "global_orient": torch.tensor([torch.pi, 0.0, 0.0]).expand(count, 3),
        "body_pose": pose.expand(count, -1),
        "betas": torch.zeros(count, 10),
        "transl": torch.zeros(count, 3),
    }


def evaluated_points(body: pgtfast.BodyModel, pose: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
    """The 14 joints (N, 14, 3) and the pelvis (N, 3), metres."""
    plan = body.landmarks(EVALUATED)
    points = plan(**pose)
    return skeletons.map_joints(points, EVALUATED, "lsp14").points, points[:, plan.names.index("Pelvis")]


def pa_errors(body: pgtfast.BodyModel, pose: dict[str, Tensor], true: dict[str, Tensor]) -> Tensor:
    """(N,) millimetres."""
    return pa_mpjpe_mm(evaluated_points(body, pose)[0], evaluated_points(body, true)[0])


def errors(body: pgtfast.BodyModel, pose: dict[str, Tensor], true: dict[str, Tensor]) -> dict[str, float]:
    """Means over all people, millimetres."""
    (joints, root), (true_joints, true_root) = evaluated_points(body, pose), evaluated_points(body, true)
    aligned = pa_mpjpe_mm(joints, true_joints, per_axis=True)
    rooted = mpjpe_mm(joints, true_joints, root=torch.stack((root, true_root)), per_axis=True)
    mesh = pve_mm(body(**pose).vertices, body(**true).vertices, pred_root=root, gt_root=true_root)
    keys = [f"{name}{axis}_mm" for name in ("pa_mpjpe", "mpjpe") for axis in ("", "_x", "_y", "_z")]
    means = [*aligned.mean(0).tolist(), *rooted.mean(0).tolist()]
    return {
        **dict(zip(keys, means, strict=True)),
        "pve_mm": float(mesh.mean()),
        "median_pa_mpjpe_mm": float(aligned[:, 0].median()),
    }


def facing_angle(pose: dict[str, Tensor], true: dict[str, Tensor]) -> Tensor:
    """(N,) degrees between where the two bodies' pelvises face."""
    ahead = [reference.rotvec_to_matrix(one["global_orient"])[..., 2] for one in (pose, true)]
    return torch.rad2deg(torch.arccos((ahead[0] * ahead[1]).sum(-1).clamp(-1, 1)))


def draw_against_truth(path: Path, people: list[dict], run: Path, world: Path, truth: Truth, count: int = 12) -> None:
    """Draw people from the best to the worst: photo, the body over it, and from the side the body (left) and the truth (right)."""
    order = sorted(people, key=lambda person: person["pa_mpjpe_mm"])
    chosen = [order[at] for at in np.unique(np.linspace(0, len(order) - 1, min(count, len(order))).round().astype(int))]
    rows = {row["annotation_id"]: row for row in read_records(run).to_pylist()}
    place = {int(number): at for at, number in enumerate(truth.annotation_id)}
    body = pgtfast.load_body("free")
    pictures = []
    for person in chosen:
        row, at = rows[person["annotation_id"]], place[person["annotation_id"]]
        names = ("global_orient", "body_pose", "betas", "transl")
        fitted = body(**{name: torch.tensor(row[name]) for name in names}).vertices.numpy()
        true = body(**{name: torch.from_numpy(getattr(truth, name)[at]) for name in names}).vertices.numpy()
        photo = np.asarray(Image.open(world / "images" / row["image_path"]))
        caption = f"{person['annotation_id']}: PA-MPJPE {person['pa_mpjpe_mm']:.0f} mm, turned {person['turned_degrees']} degrees"
        seen = render_overlay(
            photo, fitted[None], body.faces, focal=row["focal"], center=row["center"],
            keypoints=np.array([row["landmarks_2d"]]), captions=[caption],
        )[:, : 2 * photo.shape[1]]  # fmt: skip
        # the side view goes from far to near
        pair = np.stack([fitted - fitted.mean(0) + (0, 0, 1), true - true.mean(0)])
        pictures.append(np.concatenate((seen, side_view(pair, body.faces, size=(photo.shape[1], seen.shape[0]))), 1))
    Image.fromarray(contact_sheet(pictures, columns=2, cell=(966, 284))).save(path, quality=90)


def report(result: dict, world: Path, run: Path, out: Path) -> None:
    """Say it."""
    print(f"\n{result['people']} people against the truth: 14 joints of {EVALUATED}, millimetres, means over people")
    print(
        f"{'':26s}{'PA-MPJPE':>9s}{'x':>7s}{'y':>7s}{'z':>7s}{'median':>9s}{'MPJPE':>9s}{'x':>7s}{'y':>7s}{'z':>7s}{'PVE':>9s}"
    )
    columns = (("pa_mpjpe_mm", 9), ("pa_mpjpe_x_mm", 7), ("pa_mpjpe_y_mm", 7), ("pa_mpjpe_z_mm", 7), ("median_pa_mpjpe_mm", 9),
               ("mpjpe_mm", 9), ("mpjpe_x_mm", 7), ("mpjpe_y_mm", 7), ("mpjpe_z_mm", 7), ("pve_mm", 9))  # fmt: skip
    for name in ("fit", "one standing body for all"):
        print(f"{name:26s}" + "".join(f"{result[name][key]:{width}.1f}" for key, width in columns))
    print(
        "  PA-MPJPE: after the best similarity; MPJPE and PVE (whole mesh): pelvis on pelvis; x right, y down, z depth"
    )
    print(
        f"  fitted keypoints miss the annotated ones by {result['reprojection_px']:.2f} px "
        f"({result['reprojection_percent_of_box']:.1f} % of the box), the true ones by {result['reprojection_of_true_keypoints_px']:.2f} px"
    )
    print(
        "  an easy world: its people are made of the very body and prior that the fit uses, and hidden keypoints are annotated too"
    )
    print(
        f"  {result['turned_by_more_than_90_degrees']} of {result['people']} face away from where they should, by more than 90 degrees"
    )
    for reason, number in result["skipped"].items():
        print(f"  skipped {number}: {reason}")
    print("\nlook at")
    print(f"  {world / 'contact_sheet.jpg'}   the world")
    print(f"  {run / 'contact_sheet.jpg'}     photo with keypoints, the bodies over it, and the bodies from the side")
    print(
        f"  {out / 'against_truth.jpg'}      from the best to the worst: the body over the photo; from the side the body and the truth"
    )
    print(f"  {out / 'result.json'}           all numbers, and the error of each person")


if __name__ == "__main__":
    sys.exit(main())
