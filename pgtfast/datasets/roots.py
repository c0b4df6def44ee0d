"""Datasets by kind and folder: finds the files of the usual layouts and opens them as one :class:`ImageSet`."""

from __future__ import annotations

import json
import logging
import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from .._errors import PgtfastError
from ..body import BodyModel, load_body
from ..images.sizes import check_image_sizes, check_reach
from ..people.sets import ImageSet, Role
from ..people.table import People
from .coco import read_coco_persons, read_coco_wholebody
from .crowdpose import read_crowdpose
from .h36m import TEST_CAMERAS, TEST_EVERY, TEST_SUBJECTS, TRAIN_SUBJECTS, read_h36m, read_h36m_spin
from .instavariety import read_instavariety
from .lspet import read_lspet
from .mpi_inf_3dhp import read_mpi_inf_3dhp, read_mpi_inf_3dhp_spin
from .mpii import read_mpii
from .muco import read_muco
from .mupots import read_mupots, read_mupots_sequences
from .pw3d import read_pw3d, read_pw3d_sequences
from .up3d import read_up3d

Bodies = BodyModel | Mapping[str, BodyModel] | None

KINDS: dict[str, Role] = {
    "h36m": "mocap",
    "mpi_inf_3dhp": "mocap",
    "muco": "mocap",
    "coco": "wild",
    "mpii": "wild",
    "lspet": "wild",
    "crowdpose": "wild",
    "instavariety": "wild",
    "up3d": "wild",
    "pw3d": "bridge",
    "mupots": "bridge",
}
"""The kinds of datasets that can be opened by folder, and what each is for."""

WORLD_MARK = "pgtfast_world.json"
"""A file that tells a set made by `python -m pgtfast.synth` from a real one: its bodies are the free one."""

_SPLITS = ("train", "val", "test")
_SIZES_LOOKED_AT = 32
_MUPOTS = "MuPoTS-3D, a set to test on,"
_LOG = logging.getLogger(__name__)


def open_dataset(
    kind: str, root: str | Path, *, split: str = "train", body: Bodies = None, dataset: str | None = None
) -> ImageSet:
    """Open the dataset in a folder. {split} stands for the split, {A,B} for A or B; of several files that are there the first is taken.

    =============  ==============================================================================  =======================================
    kind           annotations                                                                     pictures
    =============  ==============================================================================  =======================================
    h36m           {annotations/,}Human36M_subject{S}_data.json and companions; h36m_{split}.npz   images/
    mpi_inf_3dhp   {annotations/,}MPI-INF-3DHP{_1k,}.json and companions;                          images_1k/, images/
                   mpi_inf_3dhp_{split}.npz
    muco           {annotations/,data/,}MuCo-3DHP.json, smpl_param.json beside it                  data/, images/, the folder
    coco           {annotations/,}coco_wholebody_{split}_v1.0.json, then                           {split}2017/, images/{split}2017/,
                   {annotations/,}person_keypoints_{split}2017.json                                images/
    mpii           {annotations/,annot/,}{split}.json, {annotations/,}mpii_{split}.json,           images/, the folder
                   test_mpii.json
    lspet          joints.mat                                                                      images/, the folder
    crowdpose      {annotations/,json/,}crowdpose_{split}.json, test_crowdpose.json                images/, the folder
    instavariety   {annotations/,}insta_{split}_db.{pt,h5}                                         images/, insta_variety_img/, the folder
    up3d           trainval.txt or train.txt, val.txt, test.txt                                    the folder
    pw3d           {annotations/,}3DPW_{train,validation,test}.json; sequenceFiles/                imageFiles/
    mupots         {annotations/,data/,}MuPoTS-3D.json; MultiPersonTestSet/TS*/annot.mat           MultiPersonTestSet/, data/, images/
    =============  ==============================================================================  =======================================

    Where no picture folder holds the pictures, WebDataset tars (*.tar) in the folder are taken. People whose picture is not in the picture folder get the
    reason "missing-file"; the sizes of some pictures are compared with the annotations (with the keypoints where those give no size).

    Args:
        kind: one of :data:`KINDS`.
        root: the dataset's folder.
        split: "train", "val" or "test". LSPET, MuCo-3DHP, MPI-INF-3DHP in the authors' layout and the studio of a free world are "train" alone, MuPoTS-3D is "test".
        body: the body that 3D datasets' parameters are of, or one for each gender (3DPW): with it their translation in the camera and, for 3DPW, the
            3D joints are known. A set marked as a free world (pgtfast_world.json) brings its own.
        dataset: first part of each person's key; None takes the kind, or "free_SET" for a set of a free world.

    Raises:
        PgtfastError: nothing of the kind is there (the message lists what was looked for, in order), the pictures are other ones than annotated, or a
            file cannot be read.
    """
    if kind not in KINDS:
        raise PgtfastError(f"kind {kind!r} is not known; known are: {', '.join(KINDS)}")
    if split not in _SPLITS:
        raise PgtfastError(f"split: wanted one of {', '.join(_SPLITS)}, got {split!r}")
    folder = Path(root)
    if not folder.is_dir():
        raise PgtfastError(f"{folder}: no such folder; wanted the root of a dataset of kind {kind}")
    world = _world(folder)
    search = _Search(kind, folder, split, load_body("free") if world else body, world is not None)
    people, folders = _OPENERS[kind](search)
    people = replace(people, dataset=dataset or (f"free_{world}" if world else kind))
    images, people = _pictures(search, people, folders)
    return ImageSet(people=people, images=images, role=KINDS[kind])


class _Search:
    """Looks for files in a dataset's folder and remembers where."""

    def __init__(self, kind: str, root: Path, split: str, body: Bodies, world: bool) -> None:
        self.kind, self.root, self.split, self.body, self.world = kind, root, split, body, world
        self.tried: list[str] = []

    @property
    def one_body(self) -> BodyModel | None:
        """The body where one serves all genders."""
        return self.body.get("neutral") if isinstance(self.body, Mapping) else self.body

    def find(self, *names: str) -> Path | None:
        """The first of these files or folders, relative to the root, that is there."""
        for name in names:
            self.tried.append(name)
            if (self.root / name).exists():
                return self.root / name
        return None

    def match(self, folders: Sequence[str], pattern: str) -> list[Path]:
        """Files of the first of these folders that holds any of the pattern."""
        for name in folders:
            self.tried.append(f"{name}{pattern}")
            found = sorted((self.root / name).glob(pattern))
            if found:
                return found
        return []

    def only(self, split: str, what: str) -> None:
        """Raise where another split is asked for than the one that these files are: nobody shall measure on what was trained on, or the reverse."""
        if self.split != split:
            raise PgtfastError(f"{self.root}: split {self.split}: {what} is of one split; ask for split {split}")

    def nothing(self) -> PgtfastError:
        return PgtfastError(
            f"{self.root}: no annotations of kind {self.kind}, split {self.split}; looked for: {', '.join(self.tried)}"
        )


def _world(root: Path) -> str | None:
    """Name of the set of a free world; None for a real dataset."""
    path = root / WORLD_MARK
    if not path.is_file():
        return None
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        body, name = content["body"], str(content.get("set") or root.name)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise PgtfastError(f"{path}: damaged ({type(error).__name__}); make the world again") from error
    if body != "free":
        raise PgtfastError(
            f"{path}: body: wanted 'free', got {body!r}; this version reads worlds of the free body alone"
        )
    return name


_Opened = tuple[People, Sequence[str]]
"""The people and the folders that may hold their pictures."""


def _h36m(search: _Search) -> _Opened:
    found = search.match(("annotations/", ""), "Human36M_subject*_data.json")
    if found:
        there = {int(m[1]) for path in found if (m := re.search(r"_subject(\d+)_data", path.name))}
        wanted = tuple(sorted(there)) if search.world else TRAIN_SUBJECTS if search.split == "train" else TEST_SUBJECTS
        subjects = [s for s in wanted if s in there]
        if not subjects:
            raise PgtfastError(
                f"{found[0].parent}: split {search.split} is of the subjects {', '.join(map(str, wanted))}, "
                f"only {', '.join(map(str, sorted(there)))} are there"
            )
        options: dict = {"subjects": subjects, "body": search.one_body}
        if search.world:
            search.only("train", "the studio of a free world")
            options.update(every=1)
        elif search.split != "train":
            options.update(every=TEST_EVERY, cameras=TEST_CAMERAS)
        return read_h36m(found[0].parent, **options), ("images", "")
    return _spin(search, "h36m"), ("", "images")


def _mpi_inf_3dhp(search: _Search) -> _Opened:
    found = search.find(*_in(("annotations/", "data/", ""), "MPI-INF-3DHP_1k.json", "MPI-INF-3DHP.json"))
    if found:
        search.only("train", f"{found.name}, which holds the training subjects alone,")
        return read_mpi_inf_3dhp(found.parent, body=search.one_body), ("images_1k", "data/images_1k", "images", "")
    return _spin(search, "mpi_inf_3dhp"), ("", "images")


def _spin(search: _Search, name: str) -> People:
    found = search.find(f"{name}_{search.split}.npz", f"annotations/{name}_{search.split}.npz")
    if found is None:
        raise search.nothing()
    if name == "h36m":
        return read_h36m_spin(found)
    return read_mpi_inf_3dhp_spin(found)


def _muco(search: _Search) -> _Opened:
    found = _need(search, *_in(("annotations/", "data/", ""), "MuCo-3DHP.json"))
    search.only("train", "MuCo-3DHP, made of training subjects,")
    bodies = found.parent / "smpl_param.json"
    people = read_muco(found, bodies=bodies if bodies.is_file() else None, body=search.one_body)
    return people, ("data", "images", "")


def _coco(search: _Search) -> _Opened:
    year = f"{search.split}2017"
    whole = search.find(*_in(("annotations/", ""), f"coco_wholebody_{search.split}_v1.0.json"))
    if whole is not None:
        people = read_coco_wholebody(whole, dataset="coco")
    else:
        names = _in(("annotations/", ""), f"person_keypoints_{year}.json")
        people = read_coco_persons(_need(search, *names), dataset="coco")
    return people, (year, f"images/{year}", "images", "")


def _mpii(search: _Search) -> _Opened:
    split = search.split
    names = [*_in(("annotations/", "annot/", ""), f"{split}.json"), *_in(("annotations/", ""), f"mpii_{split}.json")]
    if split == "val":
        names += _in(("annotations/", "annot/", ""), "valid.json")
    return read_mpii(_need(search, *names, "test_mpii.json")), ("images", "")


def _lspet(search: _Search) -> _Opened:
    found = _need(search, "joints.mat", "annotations/joints.mat")
    search.only("train", "LSPET")
    folder = next((f for f in (search.root / "images", search.root) if any(f.glob("im0*"))), None)
    return read_lspet(found, images=folder), ("images", "")


def _crowdpose(search: _Search) -> _Opened:
    split = search.split
    found = _need(search, *_in(("annotations/", "json/", ""), f"crowdpose_{split}.json"), "test_crowdpose.json")
    folder = next((f for f in (search.root / "images", search.root) if any(f.glob("*.jpg"))), None)
    return read_crowdpose(found, images=folder, dataset="crowdpose"), ("images", "")


def _instavariety(search: _Search) -> _Opened:
    names = _in(("annotations/", ""), f"insta_{search.split}_db.pt", f"insta_{search.split}_db.h5")
    people = read_instavariety(_need(search, *names), anchor="insta_variety_img")
    return people, ("images", "insta_variety_img", "")


def _up3d(search: _Search) -> _Opened:
    names = ("trainval", "train") if search.split == "train" else (search.split,)
    found = _need(search, *(f"{name}.txt" for name in names))
    return read_up3d(search.root, split=found.stem, body=search.one_body), ("",)


def _pw3d(search: _Search) -> _Opened:
    name = "validation" if search.split == "val" else search.split
    found = search.find(*_in(("", "annotations/", "data/"), f"3DPW_{name}.json"))
    if found is not None:
        return read_pw3d(found, body=search.body), ("imageFiles", "data/imageFiles")
    found = _need(search, f"sequenceFiles/{name}", f"sequenceFiles/sequenceFiles/{name}")
    return read_pw3d_sequences(found, body=search.body), ("imageFiles", "imageFiles/imageFiles")


def _mupots(search: _Search) -> _Opened:
    folders = ("data/MultiPersonTestSet", "data", "MultiPersonTestSet", "images", "")
    found = search.find(*_in(("annotations/", "data/", ""), "MuPoTS-3D.json"))
    if found is not None:
        search.only("test", _MUPOTS)
        return read_mupots(found), folders
    sequences = search.match(("MultiPersonTestSet/", "data/MultiPersonTestSet/", ""), "TS*/annot.mat")
    if not sequences:
        raise search.nothing()
    search.only("test", _MUPOTS)
    return read_mupots_sequences(sequences[0].parent.parent), folders


_OPENERS: dict[str, Callable[[_Search], _Opened]] = {
    "h36m": _h36m,
    "mpi_inf_3dhp": _mpi_inf_3dhp,
    "muco": _muco,
    "coco": _coco,
    "mpii": _mpii,
    "lspet": _lspet,
    "crowdpose": _crowdpose,
    "instavariety": _instavariety,
    "up3d": _up3d,
    "pw3d": _pw3d,
    "mupots": _mupots,
}


def _in(folders: Sequence[str], *names: str) -> list[str]:
    return [folder + name for folder in folders for name in names]


def _need(search: _Search, *names: str) -> Path:
    found = search.find(*names)
    if found is None:
        raise search.nothing()
    return found


def _pictures(search: _Search, people: People, folders: Sequence[str]) -> tuple[Path | tuple[Path, ...], People]:
    """The picture folder (or tars), and the people with a reason where their picture is not in it."""
    usable = [row for row, reason in enumerate(people.reason) if reason is None]
    if not usable:
        first = people.reason[0] if len(people) else "the file annotates nobody"
        raise PgtfastError(
            f"{search.root}: none of {len(people)} people of {people.dataset} can be used; the first: {first}"
        )
    best: tuple[int, Path, np.ndarray] | None = None
    for name in folders:
        folder = search.root / name
        if not folder.is_dir():
            continue
        there = _there(people, usable, folder)
        if there.any() and (best is None or there.sum() > best[0]):
            best = int(there.sum()), folder, there
        if there.all():
            break
    if best is None:
        tars = tuple(sorted(search.root.glob("*.tar")))
        if tars:
            return tars, people
        looked = ", ".join(f"{name}/" if name else "the folder itself" for name in folders)
        raise PgtfastError(
            f"{search.root}: none of the pictures of {people.dataset} is there, for example {people.image_path[usable[0]]}; looked in: {looked}, *.tar"
        )
    count, folder, there = best
    if count < len(usable):
        reason = people.reason.copy()
        for row, found in zip(usable, there, strict=True):
            if not found:
                reason[row] = f"missing-file: {folder / people.image_path[row]} is not there"
        _LOG.warning(
            "%s: the pictures of %d of %d people are not there; they are left out",
            folder,
            len(usable) - count,
            len(usable),
        )
        people = replace(people, reason=reason)
    shown = people.rows(np.array(usable)[there])
    check_image_sizes(shown, folder, sample=_SIZES_LOOKED_AT)
    check_reach(shown, folder, sample=_SIZES_LOOKED_AT)
    return folder, people


def _there(people: People, rows: Sequence[int], folder: Path) -> np.ndarray:
    """(len(rows),) bool: whether the picture is in the folder. Each folder is listed once."""
    listed: dict[str, set[str]] = {}
    out = np.zeros(len(rows), dtype=bool)
    for at, row in enumerate(rows):
        parent, name = os.path.split(people.image_path[row])
        if parent not in listed:
            try:
                listed[parent] = set(os.listdir(folder / parent))
            except OSError:
                listed[parent] = set()
        out[at] = name in listed[parent]
    return out
