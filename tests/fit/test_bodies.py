"""Fits of bodies with hands of their own, and of those that cannot be fitted."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from PIL import Image

from pgtfast import Camera, load_body, load_vposer, skeletons
from pgtfast._cli import main
from pgtfast.fit import FitConfig, fit, fit_keypoints
from pgtfast.people import layout_of
from pgtfast.runs import iter_people
from tests.fit.test_cli import CONTENT, GOLDEN
from tests.helpers import bodies

JOINTS = (15, 15, 15, 15, 15, 16, 17, 18, 19, 20, 21, 1, 2, 4, 5, 7, 8)
"""Of a body's tree, one for each of coco17's keypoints; the head for the face."""
QUICK = {"steps": 1, "starts": 1, "threads": 1, "limit": 16}


@pytest.fixture(scope="module")
def body_file(tmp_path_factory):
    """kind -> path of a random body of that kind, whose mean hands are not flat."""
    folder = tmp_path_factory.mktemp("bodies")

    def path_of(kind: str, vertices: int | None = None):
        arrays = dict(bodies.body_arrays(kind, vertices=vertices))
        rng = np.random.default_rng(1)
        arrays |= {name: rng.normal(size=45) * 0.2 for name in ("hands_meanl", "hands_meanr") if name in arrays}
        if vertices is not None and "lmk_faces_idx" in arrays:
            del arrays["lmk_faces_idx"], arrays["lmk_bary_coords"]
        return bodies.write_pkl(folder / f"{kind.upper()}_NEUTRAL.pkl", arrays)

    return path_of


def keypoints_of(body, plan, camera):
    """(1, K, 3): what a standing body shows the camera."""
    points = plan(
        global_orient=torch.tensor([[np.pi, 0.3, 0]], dtype=torch.float32), betas=torch.zeros(1, body.num_betas),
        transl=torch.tensor([[0.1, 0.2, 4.0]]),
    )  # fmt: skip
    return torch.cat((camera.project(points), torch.ones(1, len(plan), 1)), -1)


@pytest.mark.parametrize(("kind", "with_prior"), [("smplx", True), ("smplx", False), ("smplh", True)])
def test_hands_stay_at_their_mean_and_the_parameters_give_the_landmarks(body_file, kind, with_prior):
    camera = Camera.diagonal(torch.tensor([[640.0, 480.0]]))
    prior = load_vposer("free") if with_prior else None
    flat = load_body(body_file(kind, vertices=400))
    relaxed = dataclasses.replace(flat, flat_hand_mean=False)
    regressor = flat.arrays.joint_regressor[list(JOINTS)]
    results, keypoints = [], None
    for body in (flat, relaxed):
        plan = body.landmarks(regressor, names=skeletons.get("coco17").joints)
        keypoints = keypoints_of(body, plan, camera) if keypoints is None else keypoints
        result = fit_keypoints(
            keypoints=keypoints, camera=camera, body=body, prior=prior, landmarks=plan, steps=8, starts=2
        )
        assert result.valid.all()
        assert result.body_pose.shape == (1, layout_of(kind).parameters["body_pose"])
        assert set(result.hands_and_face) == set(layout_of(kind).rotations) - {"global_orient", "body_pose"}
        torch.testing.assert_close(plan(**result.parameters), result.landmarks, rtol=1e-4, atol=2e-4)
        for name, mean in body.hands_mean.items():
            wanted = torch.from_numpy(mean)[None].float() if body.flat_hand_mean else torch.zeros(1, 45)
            torch.testing.assert_close(result.hands_and_face[name], wanted, rtol=1e-4, atol=1e-5)
        for name in {"jaw_pose", "leye_pose", "reye_pose"} & {*result.hands_and_face}:
            assert not result.hands_and_face[name].any()
        results.append(result)
    torch.testing.assert_close(results[0].landmarks, results[1].landmarks, rtol=1e-4, atol=1e-4)


def test_the_store_holds_hands(body_file, tmp_path):
    images = tmp_path / "images"
    images.mkdir()
    for image in CONTENT["images"]:
        Image.new("RGB", (image["width"], image["height"])).save(images / image["file_name"])
    path = body_file("smplx")
    done = fit(FitConfig(coco=GOLDEN, out=tmp_path / "run", body=str(path), images=images, overlays=1, **QUICK))
    assert done.people == QUICK["limit"]
    assert 0 < done.fitted < done.people
    (people,) = iter_people(tmp_path / "run")
    assert people.body_model == "smplx"
    assert people.flat_hand_mean is True
    assert people.has_body.sum() == done.fitted
    body = load_body(path)
    for name, mean in body.hands_mean.items():
        wanted = np.broadcast_to(mean, (done.fitted, 45))
        np.testing.assert_allclose(people.body[name][people.has_body], wanted, rtol=1e-4, atol=1e-5)
    assert len(list((tmp_path / "run" / "overlays").iterdir())) == 1
    again = fit(FitConfig(coco=GOLDEN, out=tmp_path / "run", body=str(path), **QUICK))
    assert again.fitted == 0


def test_a_hand_is_refused_by_name(body_file, tmp_path, capsys):
    path = body_file("mano", vertices=60)
    assert (
        main("fit", FitConfig, fit, ["--coco", str(GOLDEN), "--out", str(tmp_path / "run"), "--body", str(path)]) == 2
    )
    told = capsys.readouterr().err
    assert "'mano' has no body pose; wanted one of smpl, free, smplh, smplx" in told
    assert told.count("\n") == 1
    assert not (tmp_path / "run").exists()


def test_a_plan_of_another_body_is_refused(body_file):
    camera = Camera.diagonal(torch.tensor([[640.0, 480.0]]))
    free = load_body("free")
    with pytest.raises(ValueError, match="landmarks: wanted those of a 'smplx' body of 55 joints, got 24"):
        fit_keypoints(
            keypoints=torch.zeros(1, 17, 3),
            camera=camera,
            body=load_body(body_file("smplx")),
            landmarks=free.landmarks("coco17"),
        )
