"""From a name like "smpl-neutral" to a file."""

from __future__ import annotations

import os
from importlib import resources
from pathlib import Path

from pgtfast._errors import PgtfastError

ENVIRONMENT = "PGTFAST_BODY_MODELS"
_FREE = {"free": "free_body.npz", "free-full": "free_body_full.npz"}
_LETTER = {"neutral": "neutral", "male": "m", "female": "f"}


def _smpl_files(gender: str) -> list[str]:
    letter = _LETTER[gender]
    official = [f"basicmodel_{letter}_lbs_10_207_0_v{version}.pkl" for version in ("1.1.0", "1.0.0")]
    return [f"SMPL_{gender.upper()}.npz", f"SMPL_{gender.upper()}.pkl", *official]


def _family_files(family: str, gender: str) -> list[str]:
    name = f"{family.upper()}_{gender.upper()}"
    return [f"{name}.npz", f"{name}.pkl", f"{gender}/model.npz"]


FILES = {f"smpl-{gender}": _smpl_files(gender) for gender in _LETTER}
FILES |= {f"{family}-{gender}": _family_files(family, gender) for family in ("smplh", "smplx") for gender in _LETTER}
FILES |= {f"mano-{side}": [f"MANO_{side.upper()}.npz", f"MANO_{side.upper()}.pkl"] for side in ("left", "right")}
"""Names of licensed bodies and the file names looked for, upper and lower case alike."""


def find_body(name_or_path: str | Path, gender: str | None = None) -> Path:
    """The file of a body.

    Args:
        name_or_path: "free", "free-full", a name of `FILES` ("smpl" with `gender` is "smpl-GENDER"), or a path.
        gender: completes a name without one.

    A name is looked for in every folder of the environment variable PGTFAST_BODY_MODELS (separated as in PATH), in the
    folder itself and in its subfolder of the family (smpl, smplh, smplx, mano).
    """
    name = str(name_or_path)
    if name in _FREE:
        return _asset(name)
    key = f"{name}-{gender or 'neutral'}" if name in ("smpl", "smplh", "smplx") else name
    if key in FILES:
        return _licensed(key)
    path = Path(name_or_path).expanduser()
    if path.is_file():
        return path
    if path.is_dir():
        raise PgtfastError(
            f"{path}: a folder; name the body file in it, or set {ENVIRONMENT} to it and use a name: {_names()}"
        )
    raise PgtfastError(
        f"{name}: no such body file and no known name; names are {_names()}, all others are paths (.pkl, .npz)"
    )


def _names() -> str:
    return ", ".join([*_FREE, *FILES])


def _asset(name: str) -> Path:
    path = Path(str(resources.files("pgtfast") / "assets" / _FREE[name]))
    if not path.is_file():
        raise PgtfastError(f"{path}: the embedded body is missing from this installation; install pgtfast again")
    return path


def _licensed(key: str) -> Path:
    folders = [Path(one).expanduser() for one in os.environ.get(ENVIRONMENT, "").split(os.pathsep) if one]
    family = key.split("-")[0]
    looked = [place for folder in folders for place in (folder, folder / family) if place.is_dir()]
    for place in looked:
        present = {entry.relative_to(place).as_posix().lower(): entry for entry in sorted(place.glob("*"))}
        present |= {entry.relative_to(place).as_posix().lower(): entry for entry in sorted(place.glob("*/model.npz"))}
        for file in FILES[key]:
            entry = present.get(file.lower())
            if entry is not None and _belongs(entry, place, family):
                return entry
    where = ", ".join(map(str, looked)) or (
        f"no folder: {ENVIRONMENT} is " + ("not set" if not folders else f"{folders[0]}")
    )
    raise PgtfastError(
        f"{key}: body file not found; looked in {where} for {', '.join(FILES[key])}. "
        f"Set {ENVIRONMENT} to the folder that holds it, or pass its path (official files need a free registration)"
    )


def _belongs(entry: Path, place: Path, family: str) -> bool:
    """`male/model.npz` says no family, so it counts only below a folder of the family's name."""
    return entry.name != "model.npz" or place.name.lower() == family
