"""A run of synthetic people as the source of conversions, and the command."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pgtfast import _cli
from pgtfast.convert import ConvertConfig, convert
from pgtfast.formats import Store, read_records
from pgtfast.people import People
from pgtfast.people.arrow import from_arrow, to_arrow
from tests.formats.synthetic import by_id


class World:
    """A folder with people in the store, their annotation file and their pictures."""

    def __init__(self, root: Path, capsys) -> None:
        self.root, self.capsys = root, capsys

    def store(self, name: str, bodies: People) -> Path:
        with Store(self.root / name, {"of": "tests"}) as store:
            store.write_part(to_arrow(bodies, method="tests"))
        return self.root / name

    def coco(self, bodies: People, name: str = "coco.json") -> Path:
        names = sorted(set(bodies.image_path))
        ids = {path: number + 1 for number, path in enumerate(names)}
        sizes = {path: size.tolist() for path, size in zip(bodies.image_path, bodies.image_size, strict=True)}
        content = {
            "images": [{"id": ids[p], "file_name": p, "width": sizes[p][0], "height": sizes[p][1]} for p in names],
            "annotations": [
                {"id": int(number), "image_id": ids[path], "bbox": box.tolist()}
                for number, path, box in zip(bodies.annotation_id, bodies.image_path, bodies.bbox, strict=True)
            ],
        }
        (self.root / name).write_text(json.dumps(content))
        return self.root / name

    def pictures(self, bodies: People) -> Path:
        folder = self.root / "pictures"
        for path, size in zip(bodies.image_path, bodies.image_size, strict=True):
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            Image.new("L", tuple(size.tolist())).save(folder / path)
        return folder

    def run(self, *arguments) -> str:
        """What the command prints; its exit code is in `code`."""
        self.capsys.readouterr()
        result = convert(_cli.parse("convert", ConvertConfig, [str(argument) for argument in arguments]))
        self.code = result.exit_code
        return self.capsys.readouterr().out

    def read(self, run: Path) -> People:
        return by_id(from_arrow(read_records(run), str(run)))


@pytest.fixture
def world(tmp_path, capsys) -> World:
    return World(tmp_path, capsys)


def same_rows(bodies: People, ids: np.ndarray) -> People:
    """The people of these ids in their order."""
    row_of = {int(number): row for row, number in enumerate(bodies.annotation_id)}
    return bodies.rows(np.array([row_of[int(number)] for number in ids]))
