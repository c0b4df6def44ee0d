"""Two runs on the same people: matched by key, measured against each other."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from .. import ops
from .._errors import PgtfastError
from ..body import BodyModel
from ..metrics import mpjpe_mm, pa_mpjpe_mm
from ..people.columns import SCHEMA
from ._statistics import EDGES, Extremes, Histogram, Metric, Sample, Statistics, metrics_of
from ._store import Run, key_hashes, keys, vectors
from ._summary import DRAWN, POSE, Rotations, measured

HELD = 100_000
"""People of the second run in memory at once; both runs are read once more for each further such number."""
TURNED = 90.0


@dataclass(eq=False)
class Comparison:
    """Bodies of two runs, A and B, on the people that have one in both."""

    first: Run
    second: Run
    metrics: tuple[Metric, ...]
    """Columns that both runs measure."""
    statistics: tuple[Statistics, Statistics]
    """Of A's and of B's bodies, on the people that have one in both."""
    rotations: tuple[Rotations, Rotations]
    most: Extremes
    """Rows of A with B's under "other" and the distances under "mm" and "pa_mm", from the greatest distance down."""
    least: Extremes
    sample: Sample
    found: dict[str, int] = field(
        default_factory=lambda: dict.fromkeys(
            ("both", "first", "second", "neither", "absent_first", "absent_second"), 0
        )
    )
    """People with a body in both, in one, in neither; and people that one of the runs has no row of."""
    distance: Histogram = field(default_factory=lambda: Histogram(EDGES["positive"]))
    """Millimetres, mean of 24 joints, pelvis on pelvis."""
    aligned: Histogram = field(default_factory=lambda: Histogram(EDGES["positive"]))
    """The same after the best similarity."""
    axes: np.ndarray = field(default_factory=lambda: np.zeros(3))
    """Sums of the mean absolute distances along x (right), y (down), z (depth), millimetres, pelvis on pelvis."""
    joints: np.ndarray = field(default_factory=lambda: np.zeros(24))
    """Sum of each joint's distance, millimetres, pelvis on pelvis."""
    turned: int = 0
    """People whose pelvises face ways more than 90 degrees apart."""

    @property
    def number(self) -> int:
        return self.found["both"]

    def median_rows(self, count: int) -> list[dict]:
        """Of the sample, the people whose distance is nearest the median."""
        median = self.distance.quantile(0.5)
        if median is None:
            return []
        rows = self.sample.rows()
        extremes = Extremes(count)
        extremes.offer(np.array([-abs(row["mm"] - median) for row in rows]), np.arange(len(rows)), rows.__getitem__)
        return extremes.rows()


def compare(first: Run, second: Run, bodies: tuple[BodyModel, BodyModel], *, sample: int, pictures: int) -> Comparison:
    """Measure two runs against each other.

    Args:
        first: A.
        second: B.
        bodies: of A and of B.
        sample: people kept by chance.
        pictures: people kept of each kind.

    Raises:
        PgtfastError: no person has a body in both, or a key is there twice in B.
    """
    shared = {metric.column for metric in metrics_of(second.schema)}
    metrics = tuple(metric for metric in metrics_of(first.schema) if metric.column in shared)
    held = Comparison(
        first,
        second,
        metrics,
        statistics=(Statistics(metrics), Statistics(metrics)),
        rotations=(Rotations(), Rotations()),
        most=Extremes(pictures),
        least=Extremes(pictures),
        sample=Sample(sample),
    )
    columns = list(dict.fromkeys((*DRAWN, *(metric.column for metric in metrics))))
    passes = max(1, -(-second.rows // HELD))
    for turn in range(passes):
        theirs, place = _held_rows(second, columns, turn, passes)
        seen = np.zeros(len(place), bool)
        for ours, names in _of_turn(first, columns, turn, passes):
            at = np.array([place.get(name, -1) for name in names], int)
            held.found["absent_second"] += int((at < 0).sum())
            seen[at[at >= 0]] = True
            _add_pairs(held, bodies, ours.filter(pa.array(at >= 0)), theirs.take(at[at >= 0]))
        held.found["absent_first"] += int((~seen).sum())
    if not held.number:
        examples = [
            next(name for _, names in _of_turn(run, columns, 0, 1) for name in names) for run in (first, second)
        ]
        raise PgtfastError(
            f"--against {second.folder}: no person has a body in both runs; people are matched by (dataset, image, "
            f"annotation id), "
            f"such as {examples[0]} in {first.folder} and {examples[1]} in {second.folder}"
        )
    return held


def _of_turn(run: Run, columns: list[str], turn: int, passes: int) -> Iterator[tuple[pa.Table, list[tuple]]]:
    """Rows whose hash falls to this turn, and their keys."""
    for batch in run.batches(columns):
        names = keys(batch)
        if passes > 1:
            mine = key_hashes(names) % np.uint64(passes) == turn
            batch, names = batch.filter(pa.array(mine)), [name for name, take in zip(names, mine, strict=True) if take]
        if names:
            yield batch, names


def _held_rows(run: Run, columns: list[str], turn: int, passes: int) -> tuple[pa.Table, dict[tuple, int]]:
    """Rows of this turn in memory, and the place of each key."""
    tables: list[pa.Table] = []
    place: dict[tuple, int] = {}
    for batch, names in _of_turn(run, columns, turn, passes):
        tables.append(batch)
        for name in names:
            if name in place:
                raise PgtfastError(
                    f"{run.folder}: {name} is there twice; a person is known by dataset, image and annotation id"
                )
            place[name] = len(place)
    schema = pa.schema([SCHEMA.field(name) for name in columns], SCHEMA.metadata)
    return (pa.concat_tables(tables) if tables else schema.empty_table()).combine_chunks(), place


def _add_pairs(held: Comparison, bodies: tuple[BodyModel, BodyModel], ours: pa.Table, theirs: pa.Table) -> None:
    valid = [np.array(table["valid"].to_pylist(), bool) for table in (ours, theirs)]
    held.found["first"] += int((valid[0] & ~valid[1]).sum())
    held.found["second"] += int((~valid[0] & valid[1]).sum())
    held.found["neither"] += int((~valid[0] & ~valid[1]).sum())
    both = pa.array(valid[0] & valid[1])
    pair = ours.filter(both), theirs.filter(both)
    count = pair[0].num_rows
    if not count:
        return
    held.found["both"] += count
    points, roots = [], []
    for side, body in enumerate(bodies):
        pose = {name: torch.from_numpy(vectors(pair[side], name)) for name in POSE}
        pose["betas"] = pose["betas"][:, : body.num_betas]
        points.append(body.joints_plan(**pose))
        joints = torch.cat((pose["global_orient"], pose["body_pose"]), 1).unflatten(1, (-1, 3))
        matrices = ops.rotvec_to_matrix(joints)
        held.rotations[side].add(matrices.numpy())
        roots.append(matrices[:, 0, :, 2])
        held.statistics[side].add(measured(pair[side], held.metrics), np.ones(count, bool))
    distance, aligned = distances_mm(*points)
    held.distance.add(distance[:, 0])
    held.aligned.add(aligned)
    held.axes += distance[:, 1:].sum(0)
    rooted = [joints - joints[:, :1] for joints in points]
    held.joints += 1000 * (rooted[0] - rooted[1]).norm(dim=-1).double().sum(0).numpy()
    held.turned += int(((roots[0] * roots[1]).sum(-1) < np.cos(np.deg2rad(TURNED))).sum())
    ties = key_hashes(keys(pair[0]))

    def rows(some: np.ndarray) -> list[dict]:
        ones, others = (table.take(some).to_pylist() for table in pair)
        return [
            {**one, "other": other, "mm": float(distance[at, 0]), "pa_mm": float(aligned[at])}
            for one, other, at in zip(ones, others, some, strict=True)
        ]

    def row(at: int) -> dict:
        return rows(np.array([at]))[0]

    held.sample.offer(ties, rows)
    held.most.offer(distance[:, 0], ties, row)
    held.least.offer(-distance[:, 0], ties, row)


def distances_mm(one: Tensor, other: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Between joints (N, J, 3) of two bodies, in millimetres: (N, 4) pelvis on pelvis with x, y, z, and (N,) after the
    best similarity."""
    rooted = mpjpe_mm(one, other, root=0, per_axis=True)
    return rooted.double().numpy(), pa_mpjpe_mm(one, other).double().numpy()
