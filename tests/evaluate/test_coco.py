"""``python -m pgtfast.evaluate coco``: keypoints of bodies against COCO annotations, with pycocotools as the judge."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from pgtfast import load_body
from pgtfast._cli import main
from pgtfast._errors import PgtfastError
from pgtfast.evaluate import EvaluateConfig, evaluate
from tests.evaluate.people import people_of, random_pose
from tests.evaluate.test_evaluate import truth_of, write_run

pytest.importorskip("pycocotools", reason="pip install 'pgtfast[coco]'")
PEOPLE = 6


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A run whose bodies are exact, and annotations of their keypoints: `exact.json`, and `off.json` with one person's
    moved and one's hidden."""
    folder = tmp_path_factory.mktemp("coco")
    pose = random_pose(PEOPLE)
    truth = truth_of(load_body("free"), pose)
    write_run(folder / "run", load_body("free"), pose, truth, missing=1)
    people = people_of(truth)
    images = [{"id": n, "file_name": name, "width": 640, "height": 480} for n, name in enumerate(people.image_path)]
    annotations = []
    for n, (number, box, points) in enumerate(zip(people.annotation_id, people.bbox, people.keypoints, strict=True)):
        keypoints = np.column_stack((points[:, :2], np.full(17, 2))).ravel().tolist()
        annotations.append(
            {
                "id": int(number),
                "image_id": n,
                "category_id": 1,
                "iscrowd": 0,
                "area": float(box[2] * box[3]),
                "bbox": box.tolist(),
                "num_keypoints": 17,
                "keypoints": keypoints,
            }
        )
    content = {"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "person"}]}
    (folder / "exact.json").write_text(json.dumps(content))
    moved, hidden = annotations[0], annotations[1]
    moved["keypoints"] = [
        v + (0.1 * moved["area"] ** 0.5 if at % 3 == 0 else 0) for at, v in enumerate(moved["keypoints"])
    ]
    hidden["keypoints"], hidden["num_keypoints"] = [0] * 51, 0
    (folder / "off.json").write_text(json.dumps(content))
    return folder


def test_exact_keypoints_and_a_missing_person(folder, tmp_path, capsys):
    out = tmp_path / "out.json"
    arguments = ["coco", "--predictions", folder / "run", "--annotations", folder / "exact.json", "--json", out]
    assert main("evaluate", EvaluateConfig, evaluate, [*map(str, arguments)]) == 0
    result = json.loads(out.read_text())["runs"]["run"]
    assert result["counted"] == PEOPLE - 1
    assert result["mean_oks"] == pytest.approx(1, abs=1e-6)
    assert result["AR"] == pytest.approx((PEOPLE - 1) / PEOPLE)
    assert 0.8 < result["AP"] < 0.9  # precision is 1 up to a recall of 5 in 6
    assert "0.833" in capsys.readouterr().out


def test_each_persons_similarity_is_that_of_pycocotools(folder):
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    from pgtfast.evaluate._coco import projected
    from pgtfast.runs import iter_people

    config = EvaluateConfig(protocol="coco", predictions=folder / "run", annotations=folder / "off.json")
    values = evaluate(config).values["runs"]["run"]
    found = {person["annotation_id"]: person["oks"] for person in values["per_person"]}
    truth = COCO(str(folder / "off.json"))
    (people,) = iter_people(folder / "run")
    people = people.rows(people.has_body)
    points = projected(people, load_body("free"), folder)
    detections = [
        {"image_id": truth.anns[number]["image_id"], "category_id": 1, "score": 1.0,
         "keypoints": np.column_stack((xy, np.ones(17))).ravel().tolist()}
        for number, xy in zip(people.annotation_id.tolist(), points, strict=True)
    ]  # fmt: skip
    judge = COCOeval(truth, truth.loadRes(detections), "keypoints")
    judge.evaluate()
    first, second, *others = sorted(found)
    assert found[second] is None
    assert found[first] < 0.9
    for number in (first, *others):
        assert found[number] == pytest.approx(judge.ious[truth.anns[number]["image_id"], 1][0, 0])
    assert values["mean_oks"] == pytest.approx(np.mean([found[number] for number in (first, *others)]))


def test_what_is_refused(folder, tmp_path):
    def config(annotations: Path) -> EvaluateConfig:
        return EvaluateConfig(protocol="coco", predictions=folder / "run", annotations=annotations)

    with pytest.raises(PgtfastError, match="no such file"):
        evaluate(config(tmp_path / "none.json"))
    (tmp_path / "list.json").write_text("[1]")
    with pytest.raises(PgtfastError, match="not person keypoints of COCO"):
        evaluate(config(tmp_path / "list.json"))
    content = json.loads((folder / "exact.json").read_text())
    content["images"] = [{**image, "file_name": f"other_{image['file_name']}"} for image in content["images"]]
    (tmp_path / "other.json").write_text(json.dumps(content))
    with pytest.raises(PgtfastError, match="none of its 6 people has a body in an image of"):
        evaluate(config(tmp_path / "other.json"))
    with pytest.raises(PgtfastError, match="--annotations: the protocol coco needs it"):
        EvaluateConfig(protocol="coco", predictions=folder / "run")
