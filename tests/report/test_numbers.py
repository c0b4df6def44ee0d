"""What is counted over a run and between two: against plain arithmetic on the rows."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from pgtfast import load_body, reference
from pgtfast._errors import PgtfastError
from pgtfast.formats import read_records
from pgtfast.metrics import mpjpe_mm, pa_mpjpe_mm
from pgtfast.report import _compare
from pgtfast.report._compare import compare
from pgtfast.report._statistics import Extremes, Histogram, Sample, metrics_of
from pgtfast.report._store import open_run
from pgtfast.report._summary import facing_deg, median_rows, summarise
from tests.report.conftest import PEOPLE
from tests.report.made import SKIPPED, poses, write_run


@pytest.fixture(scope="module")
def rows(folder) -> dict[str, list[dict]]:
    return {name: read_records(folder / name).to_pylist() for name in ("one", "two")}


def test_a_summary_is_the_rows_arithmetic(folder, rows):
    held = summarise(open_run(folder / "one"), sample=100, pictures=3, cut=0.6)
    valid = [row for row in rows["one"] if row["valid"]]
    quality = np.array([row["quality"] for row in valid])
    assert (held.people, held.valid.people) == (PEOPLE, PEOPLE - SKIPPED)
    assert held.reasons == {"no-crop": SKIPPED}
    assert held.valid.histograms["quality"].mean == pytest.approx(quality.mean())
    relative = np.array([row["reprojection_rel"] for row in valid])
    assert held.valid.histograms["reprojection_rel"].mean == pytest.approx(100 * relative.mean())
    assert 0 < (quality >= 0.6).sum() < len(quality)
    assert held.kept.people == (quality >= 0.6).sum()
    assert held.dropped.people == (quality < 0.6).sum()
    assert [row["quality"] for row in held.best.rows()] == sorted(quality)[:-4:-1]
    assert [row["quality"] for row in held.worst.rows()] == sorted(quality)[:3]
    assert held.above.rows()[0]["quality"] == quality[quality >= 0.6].min()
    assert held.below.rows()[0]["quality"] == quality[quality < 0.6].max()
    middle = sorted(quality)[len(quality) // 2 - 2 : len(quality) // 2 + 2]
    assert median_rows(held, 1)[0]["quality"] in middle
    assert sorted(row["annotation_id"] for row in held.sample.rows()) == [row["annotation_id"] for row in rows["one"]]
    toward = np.abs((held.facing.edges[1:] + held.facing.edges[:-1]) / 2) < 20
    assert held.facing.counts[toward].sum() == len(valid)


def test_the_spread_of_rotations_is_the_mean_cosine(folder, rows):
    held = summarise(open_run(folder / "one"), sample=5, pictures=1, cut=None)
    pose = torch.tensor(
        [row["global_orient"] + row["body_pose"] for row in rows["one"] if row["valid"]], dtype=torch.float64
    )
    matrices = reference.rotvec_to_matrix(pose.unflatten(1, (-1, 3))).numpy()
    u, _, vt = np.linalg.svd(matrices.mean(0))
    mean = u @ np.stack([np.diag([1, 1, d]) for d in np.linalg.det(u @ vt)]) @ vt
    cosine = (np.einsum("njab,jab->nj", matrices, mean) - 1) / 2
    np.testing.assert_allclose(
        held.rotations.spread_deg(), np.rad2deg(np.arccos(np.clip(cosine.mean(0), -1, 1))), atol=0.05
    )
    assert held.rotations.spread_deg()[0] < 0.05
    assert held.rotations.spread_deg().max() > 5


def test_facing():
    about_y = torch.tensor([[0.0, angle, 0.0] for angle in (0.0, torch.pi / 2, torch.pi)])
    upright = reference.rotvec_to_matrix(torch.tensor([torch.pi, 0.0, 0.0]))
    turned = (reference.rotvec_to_matrix(about_y) @ upright).numpy()
    np.testing.assert_allclose(np.abs(facing_deg(turned)), [0, 90, 180], atol=1e-3)
    right = np.eye(3)[None, :, [1, 0, 2]] * 1.0
    right[0, :, 2] = [1, 0, 0]
    np.testing.assert_allclose(facing_deg(right), [90])


def test_two_runs_are_matched_by_key(folder, rows):
    bodies = (load_body("free"),) * 2
    found = compare(open_run(folder / "one"), open_run(folder / "two"), bodies, sample=100, pictures=3)
    both = PEOPLE - SKIPPED - 1
    assert found.found == {
        "both": both,
        "first": 0,
        "second": 0,
        "neither": SKIPPED,
        "absent_first": 0,
        "absent_second": 1,
    }
    theirs = {row["annotation_id"]: row for row in rows["two"]}
    pairs = [
        (row, theirs[row["annotation_id"]]) for row in rows["one"] if row["valid"] and row["annotation_id"] in theirs
    ]
    joints = []
    for side in range(2):
        pose = {
            k: torch.tensor([pair[side][k] for pair in pairs])
            for k in ("global_orient", "body_pose", "betas", "transl")
        }
        joints.append(bodies[0](**pose).joints)
    distance = mpjpe_mm(*joints, root=0).double().numpy()
    assert found.distance.mean == pytest.approx(distance.mean(), rel=1e-4)
    assert found.distance.mean > 20
    assert found.aligned.mean == pytest.approx(pa_mpjpe_mm(*joints).double().mean().item(), rel=1e-4)
    assert found.joints[1:].sum() / 24 / both == pytest.approx(distance.mean(), rel=1e-4)
    most = found.most.rows()[0]
    assert most["mm"] == pytest.approx(distance.max(), rel=1e-4)
    assert most["annotation_id"] == most["other"]["annotation_id"] == pairs[int(distance.argmax())][0]["annotation_id"]
    assert found.least.rows()[0]["mm"] == pytest.approx(distance.min(), rel=1e-4)
    assert len(found.sample.rows()) == both
    assert [t.histograms["quality"].mean for t in found.statistics] == pytest.approx(
        [np.mean([pair[side]["quality"] for pair in pairs]) for side in range(2)]
    )


def test_memory_is_bounded_by_more_passes_of_the_same_result(folder, monkeypatch):
    bodies = (load_body("free"),) * 2
    runs = open_run(folder / "one"), open_run(folder / "two")
    whole = compare(*runs, bodies, sample=100, pictures=3)
    monkeypatch.setattr(_compare, "HELD", 4)
    parts = compare(*runs, bodies, sample=100, pictures=3)
    assert parts.found == whole.found
    assert parts.distance.mean == pytest.approx(whole.distance.mean, rel=1e-5)
    assert [r["annotation_id"] for r in parts.most.rows()] == [r["annotation_id"] for r in whole.most.rows()]


def test_half_a_turn_is_seen_and_is_a_similarity(folder, tmp_path):
    pose = poses(PEOPLE)
    half = reference.rotvec_to_matrix(torch.tensor([0.0, torch.pi, 0.0]))
    turned = reference.matrix_to_rotvec(half @ reference.rotvec_to_matrix(pose["global_orient"]))
    first = write_run(tmp_path / "first", pose)
    second = write_run(tmp_path / "second", {**pose, "global_orient": turned})
    found = compare(open_run(first), open_run(second), (load_body("free"),) * 2, sample=9, pictures=1)
    assert found.turned == found.number == PEOPLE - SKIPPED
    assert found.aligned.mean < 0.1
    assert found.distance.mean > 50


def test_runs_of_other_people_are_refused(folder, tmp_path):
    other = write_run(tmp_path / "other", poses(4), names=["a.jpg", "b.jpg", "c.jpg", "d.jpg"])
    with pytest.raises(
        PgtfastError, match=r"no person has a body in both.*'made', '000.jpg', 100.*'made', 'a.jpg', 100"
    ):
        compare(open_run(folder / "one"), open_run(other), (load_body("free"),) * 2, sample=9, pictures=1)


def test_a_key_that_is_there_twice_is_refused(folder, tmp_path):
    twice = write_run(tmp_path / "twice", poses(6), order=[0, 1, 1, 2, 3, 4])
    with pytest.raises(PgtfastError, match=r"'made', '001.jpg', 101\) is there twice"):
        compare(open_run(folder / "one"), open_run(twice), (load_body("free"),) * 2, sample=9, pictures=1)


def test_quantiles():
    values = np.random.default_rng(0).lognormal(0, 1, 20_000)
    held = Histogram(np.concatenate(([-np.inf], np.logspace(-4, 6, 2401))))
    for part in np.split(values, 10):
        held.add(np.append(part, np.nan))
    assert held.number == len(values)
    for share in (0.01, 0.5, 0.9, 0.99):
        assert held.quantile(share) == pytest.approx(np.quantile(values, share), rel=0.01)
    assert held.mean == pytest.approx(values.mean())
    whole = Histogram(np.arange(-0.5, 20), whole=True)
    whole.add(np.array([3.0, 3, 17]))
    assert (whole.quantile(0.5), whole.quantile(0.99)) == (3, 17)
    assert Histogram(np.arange(3.0)).quantile(0.5) is None


def test_extremes_and_samples_do_not_depend_on_the_order():
    rng = np.random.default_rng(0)
    scores, hashes = rng.normal(size=500), rng.permutation(500).astype(np.uint64)
    made = [{"image_path": f"{n // 3}", "n": n} for n in range(500)]
    expected = []
    for n in np.argsort(-scores):
        if made[n]["image_path"] not in [made[m]["image_path"] for m in expected]:
            expected.append(int(n))
    for seed in range(3):
        order = np.random.default_rng(seed).permutation(500)
        extremes, sample = Extremes(7), Sample(40)
        for at in np.array_split(order, 9):
            extremes.offer(scores[at], hashes[at], lambda n, at=at: made[at[n]])
            sample.offer(hashes[at], lambda some, at=at: [made[at[n]] for n in some])
        assert [row["n"] for row in extremes.rows()] == expected[:7]
        assert [hashes[row["n"]] for row in sample.rows()] == list(range(40))


def test_columns_that_come_later_are_measured_too(folder):
    import pyarrow as pa

    schema = open_run(folder / "one").schema.append(pa.field("jitter_mm", pa.float32()))
    assert metrics_of(schema)[-1][:4] == ("jitter_mm", "jitter", "mm", 1.0)
    assert "transl" not in {metric.column for metric in metrics_of(schema)}
