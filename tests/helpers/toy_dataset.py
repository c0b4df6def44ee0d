"""A data set from outside the package: a CSV of boxes and COCO's keypoints beside a folder of images."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np

from pgtfast.datasets import Dataset, Found, Search
from pgtfast.people import People, empty_people

FILE = "people.csv"


def read(search: Search) -> Found:
    """Columns: image, width, height, then x, y, width, height of the box, then 17 times x, y, label."""
    with search.need(FILE).open(newline="") as file:
        rows = list(csv.reader(file))
    people = empty_people("toy", range(len(rows)), landmark_set="coco17")
    values = np.array([row[1:] for row in rows], float)
    people = replace(
        people,
        image_path=np.array([row[0] for row in rows], object),
        image_size=values[:, :2].astype(np.int64),
        bbox=values[:, 2:6],
        keypoints=values[:, 6:].reshape(-1, 17, 3),
    )
    return Found(people, ("photos",))


TOY = Dataset(name="toy", role="wild", layouts=f"{FILE}; photos/", read=read)


def write(root: Path, people: People, images: Path) -> None:
    """A folder of the people of another set and their images."""
    (root / "photos").mkdir(parents=True)
    with (root / FILE).open("w", newline="") as file:
        for name, size, box, points in zip(
            people.image_path, people.image_size, people.bbox, people.keypoints, strict=True
        ):
            csv.writer(file).writerow([Path(name).name, *size, *box, *points.ravel()])
            (root / "photos" / Path(name).name).write_bytes((images / name).read_bytes())
