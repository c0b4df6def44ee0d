"""The measure itself: known displacements come out as what they are, and a broken bound breaks the export."""

from __future__ import annotations

import json

import pytest
import torch

from pgtfast import load_body, load_vposer
from pgtfast.export._crops import Crops, drawn_crops, given_crops
from pgtfast.export._parity import Compared, Judge, Report, Spread
from pgtfast.networks import place
from tests.engines.networks import CONFIG, crops, lively

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def network():
    layers = lively()

    def call(image):
        with torch.inference_mode():
            return layers(image)

    return call


@pytest.fixture(scope="module")
def judge(network):
    held = Crops(crops(40), "noise", synthetic=True)
    return Judge(held, network, CONFIG, load_body("free"), load_vposer("free"))


def test_the_network_is_as_far_from_itself_as_nothing(judge):
    same = judge.reference()
    assert same.joints_mm.max == same.pixels.max == same.depth_mm.max == 0
    assert same.crops_per_second > 0
    assert same.core_ms > 0
    assert same.batch == 32
    assert same.keeps(0.0)


def test_depth_moves_no_joint_from_the_pelvis_but_is_told(judge, network):
    def nearer(image):
        found = network(image)
        return found._replace(camera=found.camera + torch.tensor([0, 0, 0.1]))

    moved = judge.compare("x", nearer, CPU)
    before = place(network(crops(40)), CONFIG, load_vposer("free")).transl[:, 2]
    after = place(nearer(crops(40)), CONFIG, load_vposer("free")).transl[:, 2]
    assert moved.joints_mm.max < 1e-9
    assert moved.depth_mm.mean == pytest.approx(((after - before).abs() * 1000).mean().item(), rel=1e-5)
    assert moved.pixels.p99 > 0.01
    assert not moved.keeps(0.01)


def test_a_shift_is_so_many_pixels(judge, network):
    """A centimetre to the right at depth z is 0.01 f / z pixels."""

    def shifted(image):
        found = network(image)
        return found._replace(camera=found.camera + torch.tensor([0.01, 0, 0]))

    moved = judge.compare("x", shifted, CPU)
    bodies = place(network(crops(40)), CONFIG, load_vposer("free"))
    wanted = (0.01 * bodies.focal[0] / bodies.transl[:, 2]).mean().item()
    assert moved.pixels.mean == pytest.approx(wanted, rel=0.02)
    assert moved.joints_mm.max < 1e-9


def test_pose_and_shape_move_joints(judge, network):
    for name, by in (("pose", 0.05), ("betas", 0.5), ("root_6d", 0.05)):

        def changed(image, name=name, by=by):
            found = network(image)
            values = getattr(found, name)
            return found._replace(
                **{name: values + by * torch.randn(values.shape, generator=torch.Generator().manual_seed(0))}
            )

        assert judge.compare("x", changed, CPU).joints_mm.p99 > 1, name


def test_numbers_that_are_none_break_every_bound(judge, network):
    def lost(image):
        found = network(image)
        return found._replace(pose=found.pose * float("nan"))

    assert not judge.compare("x", lost, CPU).keeps(1e9)


def test_percentiles():
    spread = Spread.of(torch.arange(101.0))
    assert (spread.mean, spread.p50, spread.p99, spread.max) == (50, 50, 99, 100)


def report(*compared: Compared, ran: bool = True) -> Report:
    return Report(
        file="f", engine="tensorrt-rtx", precision="fp16", weights_sha256="", crops="some", synthetic=True, count=4,
        bound=1.0,
        engine_ran=ran, compared=compared,
    )  # fmt: skip


def measured(p99: float, **more) -> Compared:
    spread = Spread(p99 / 2, p99 / 2, p99, p99)
    return Compared(
        what="x", joints_mm=spread, pixels=spread, depth_mm=spread, crops_per_second=1.0, core_ms=1.0, batch=4, **more
    )


def test_what_was_not_run_is_said_to_be_not_run():
    text = report(measured(0.5), Compared(what="engine", note="no GPU here"), ran=False).to_text()
    assert "engine   NOT RUN: no GPU here" in text
    assert "was not run; the figures are of its ONNX graph" in text
    assert "kept" in text
    assert "SYNTHETIC" in text


def test_a_broken_bound_is_said():
    good, bad = report(measured(1.0)), report(measured(1.0), measured(1.01))
    assert good.passed
    assert not bad.passed
    assert "BROKEN" in bad.to_text()
    assert "FAILED: the bound is broken; no engine file was written" in bad.to_text()
    told = json.loads(bad.to_json())
    assert told["passed"] is False
    assert [c["joints_mm"]["p99"] for c in told["compared"]] == [1.0, 1.01]
    assert report(measured(9.0, decides=False)).passed


def test_crops_are_those_that_annotate_makes(photos):
    annotations, images = photos
    held = given_crops(str(annotations), str(images), CONFIG, 3)
    assert held.image.shape == (3, 3, 128, 96)
    assert not held.synthetic
    assert held.source == f"3 people of {annotations.name}"
    assert held.image.std() > 0.3


def test_drawn_crops_say_that_they_are_drawn():
    held = drawn_crops(CONFIG, 2)
    assert held.synthetic
    assert "no photographs" in held.source
    assert 1 <= len(held.image) <= 2
