"""LSP Extended (and its high-resolution copy): joints.mat -> :class:`People`."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from .. import skeletons
from .._errors import PgtfastError
from ..images.sizes import read_image_size
from ..people.boxes import keypoint_boxes
from ..people.reason import Reason, Skip
from ..people.table import People, empty_people
from .dataset import Dataset, Found, Search


def read_lspet(path: str | Path, *, images: str | Path | None = None, dataset: str = "lspet") -> People:
    """Read LSPET's `joints.mat`.

    Person i is alone in picture im%05d, counted from 1, which is the annotation's id too. A joint counts where the
    third row says that it is
    visible; all others, which the file puts at zero or negative coordinates, do not. Coordinates are taken as they are:
    they were clicked at
    another size and scaled, so that none of them marks a first pixel. The box is that of the visible joints, a fifth
    larger.

    Args:
        path: MATLAB file (version 5) with `joints`, (14, 3, N) or (3, 14, N): x, y in pixels, visibility.
        images: folder of the pictures, whose names end in .png or .jpg and whose headers give the sizes; None takes
            .png and leaves the sizes unknown.
        dataset: first part of each person's key.

    Raises:
        PgtfastError: the file is not such a file, scipy is not installed, or the folder holds not one of the pictures.
    """
    path = Path(path)
    joints = _load(path)
    count = len(joints)
    people = empty_people(dataset, range(1, count + 1), landmark_set="lsp14")
    folder = Path(images) if images is not None else None
    names = _names(folder, count)
    for row, name in enumerate(names):
        if name is None:
            people.image_path[row] = f"im{row + 1:05d}.png"
            people.reason[row] = Skip(Reason.MISSING_FILE, f"{folder} has no im{row + 1:05d}.png or .jpg")
            continue
        people.image_path[row] = name
        if folder is not None:
            people.image_size[row] = read_image_size(folder / name) or (0, 0)
    visible = (joints[..., 2] > 0) & (np.abs(joints[..., :2]) <= 1e7).all(axis=-1)
    people.keypoints[visible, :2] = joints[visible][:, :2]
    people.keypoints[visible, 2] = 1.0
    people.bbox[:] = keypoint_boxes(people.keypoints)
    for row in range(count):
        if people.reason[row] is not None:
            people.keypoints[row] = 0
        elif not visible[row].any():
            people.reason[row] = Skip(Reason.NO_KEYPOINTS, "no joint is visible")
    return people


def _load(path: Path) -> np.ndarray:
    """(N, 14, 3) float64."""
    if not path.is_file():
        raise PgtfastError(f"{path}: no such file")
    try:
        from scipy.io import loadmat
    except ImportError as error:
        raise PgtfastError(f"{path}: reading MATLAB files needs scipy: pip install 'pgtfast[train]'") from error
    try:
        content = loadmat(path)
    except Exception as error:  # scipy raises many kinds for a damaged file
        raise PgtfastError(
            f"{path}: not a readable MATLAB 5 file ({type(error).__name__}: {error}). Copy or download it again"
        ) from error
    if "joints" not in content:
        held = ", ".join(k for k in content if not k.startswith("__")) or "nothing"
        raise PgtfastError(f"{path}: wanted 'joints' (14, 3, N), the file holds {held}")
    joints = np.asarray(content["joints"])
    count = len(skeletons.get("lsp14"))
    if joints.ndim != 3 or joints.dtype.kind not in "fiu" or joints.shape[:2] not in ((count, 3), (3, count)):
        raise PgtfastError(
            f"{path}: joints: wanted numbers of shape ({count}, 3, N), got {joints.dtype} {joints.shape}"
        )
    order = (2, 0, 1) if joints.shape[0] == count else (2, 1, 0)
    return joints.transpose(order).astype(np.float64)


def _names(folder: Path | None, count: int) -> list[str | None]:
    stems = [f"im{number:05d}" for number in range(1, count + 1)]
    if folder is None:
        return [f"{stem}.png" for stem in stems]
    if not folder.is_dir():
        raise PgtfastError(f"{folder}: no such folder; wanted LSPET's pictures im00001.png (or .jpg) and so on")
    there = {p.stem: p.name for p in sorted(folder.iterdir()) if p.suffix.lower() in (".png", ".jpg", ".jpeg")}
    names = [there.get(stem) for stem in stems]
    if count and not any(names):
        raise PgtfastError(f"{folder}: holds none of LSPET's pictures im00001.png (or .jpg) to {stems[-1]}.png")
    return names


def _read(search: Search) -> Found:
    path = search.need("joints.mat", "annotations/joints.mat")
    search.only("train", "LSPET")
    folder = next((f for f in (search.root / "images", search.root) if any(f.glob("im0*"))), None)
    return Found(read_lspet(path, images=folder), ("images", ""))


DATASET = Dataset(name="lspet", role="wild", layouts="{,annotations/}joints.mat; images/, the folder", read=_read)
