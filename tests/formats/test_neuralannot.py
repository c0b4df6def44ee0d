"""The NeuralAnnot JSON: what is written reads back, and projects where it should."""

from __future__ import annotations

import copy
import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from pgtfast import load_body
from pgtfast._errors import PgtfastError
from pgtfast.formats import read_neuralannot, write_neuralannot
from pgtfast.people import Reason, Skip, empty_people


def made(count: int = 3, ids=None):
    rng = np.random.default_rng(0)
    people = replace(
        empty_people("tiny", np.arange(count) * 7 + 3 if ids is None else ids, gender="neutral"),
        focal=rng.uniform(700, 900, (count, 2)),
        center=rng.uniform(200, 300, (count, 2)),
    )
    people.reason[-1] = Skip(Reason.NO_BODY, "a test says so")
    pose = np.concatenate([rng.normal(0, 1, (count, 3)), rng.normal(0, 0.3, (count, 69))], 1)
    betas, transl = rng.normal(0, 1, (count, 10)), rng.normal((0, 0, 6), 0.5, (count, 3))
    return people.with_pose("free", pose, betas=betas, transl=transl)


def test_projection_survives_the_file(tmp_path):
    people = made()
    assert write_neuralannot(tmp_path / "a.json", people) == 2
    content = json.loads((tmp_path / "a.json").read_text())
    assert list(content) == ["3", "10"]
    assert set(content["3"]) == {"smpl_param", "cam_param"}
    held = read_neuralannot(tmp_path / "a.json")
    assert held.annotation_id.tolist() == [3, 10]
    plan = load_body("free").to(dtype=torch.float64).landmarks("coco17")

    def seen(people):
        points = plan(**{name: torch.from_numpy(value) for name, value in people.body.items()}).numpy()
        return points[..., :2] / points[..., 2:] * people.focal[:, None] + people.center[:, None]

    assert np.abs(seen(people.rows(people.has_body)) - seen(held)).max() < 1e-6


def test_batches_are_one_file(tmp_path):
    people = made(7, ids=range(7))
    write_neuralannot(tmp_path / "a.json", people)
    assert write_neuralannot(tmp_path / "b.json", (people.rows(slice(n, n + 2)) for n in range(0, 7, 2))) == 6
    content = json.loads((tmp_path / "b.json").read_text())
    assert content == json.loads((tmp_path / "a.json").read_text())


def test_what_the_format_needs_is_named(tmp_path):
    people = made()
    for lacking, message in (
        (replace(people, body={k: v for k, v in people.body.items() if k != "transl"}), "'transl'"),
        (replace(people, focal=np.full((3, 2), np.nan)), "focal: not finite"),
    ):
        with pytest.raises(PgtfastError, match=rf"a\.json: .*{message}"):
            write_neuralannot(tmp_path / "a.json", lacking)
    assert not list(tmp_path.iterdir())


def test_one_annotation_id_twice_is_refused(tmp_path):
    with pytest.raises(PgtfastError, match="annotation id 4 is there twice"):
        write_neuralannot(tmp_path / "a.json", made(3, ids=[4, 4, 5]))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c["3"]["smpl_param"].pop("trans"), "id 3: smpl_param.trans: wanted 3 finite numbers, got None"),
        (lambda c: c["3"]["smpl_param"]["pose"].append(1), "id 3: smpl_param.pose: wanted 72"),
        (lambda c: c["10"]["cam_param"]["focal"].__setitem__(0, float("nan")), "id 10: cam_param.focal"),
        (lambda c: c["10"]["smpl_param"]["shape"].__setitem__(0, "1"), "id 10: smpl_param.shape"),
        (lambda c: c.__setitem__("3", []), "id 3: wanted smpl_param, smplx_param"),
        (lambda c: c.__setitem__("walking", {}), "key 'walking': wanted an annotation id"),
        (lambda c: c.__setitem__("03", copy.deepcopy(c["3"])), "annotation id 3 is there twice"),
    ],
)
def test_damaged_files_are_told(tmp_path, change, message):
    path = tmp_path / "a.json"
    write_neuralannot(path, made())
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))
    with pytest.raises(PgtfastError, match=message):
        read_neuralannot(path)


def test_fit_err_and_truncation(tmp_path):
    path = tmp_path / "a.json"
    write_neuralannot(path, made())
    content = json.loads(path.read_text())
    content["3"]["fit_err"] = 3.2
    path.write_text(json.dumps(content))
    assert len(read_neuralannot(path).annotation_id) == 2
    path.write_text(path.read_text()[:300])
    with pytest.raises(PgtfastError, match="not JSON"):
        read_neuralannot(path)
    with pytest.raises(PgtfastError, match="no such file"):
        read_neuralannot(tmp_path / "none.json")
    path.write_text("[]")
    with pytest.raises(PgtfastError, match="wanted a JSON object"):
        read_neuralannot(path)
