"""What a format of pseudo-GTs is: one object that says what its files hold and how they are read and written."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from .._errors import PgtfastError
from ..people import People, layout_of
from .notes import Notes

if TYPE_CHECKING:
    from ..body import BodyModel
    from ..priors import VPoser
    from .people_index import PeopleIndex

SMPL = ("smpl", "free")
"""Models of SMPL's joints."""
BODY = ("global_orient", "body_pose", "betas")
"""What every body has."""


@dataclass(frozen=True, kw_only=True)
class Context:
    """What is known beside the file."""

    dataset: str = ""
    """First part of each person's key."""
    notes: Notes = field(default_factory=Notes)
    """Gets what is ignored, approximated or not matched."""
    body_model: str | None = None
    """Kind of the body that the parameters are of, where the layout does not say it."""
    people: PeopleIndex | None = None
    """The annotated people, for formats that name nobody."""
    body: BodyModel | None = None
    """The body of the parameters, for bodies in the world and hands about their mean."""
    measured: BodyModel | None = None
    """A body to measure with what a change of cameras costs."""
    images: Path | None = None
    """Folder of the images."""
    focal: float = 5000.0
    """Pixels, of files that do not hold theirs."""
    prior: VPoser | None = None
    """Decodes poses that are latents."""
    source: Path | None = None
    """The file that people are read from, where it is another's."""
    source_format: str = ""
    """Its format."""

    def model(self, path: Path, found: str) -> str:
        """Kind of the body in a file: the one asked for, if its parameters are those that the layout holds.

        Raises:
            PgtfastError: another is asked for.
        """
        asked = self.body_model or found
        if layout_of(asked).parameters != layout_of(found).parameters:
            named = {"smpl": "SMPL", "smplx": "SMPL-X", "smplh": "SMPL-H", "mano": "MANO"}[found]
            raise PgtfastError(
                f"{path}: holds {named} parameters ({found}), not {asked!r} ones; they are not exchangeable: "
                f"leave --body-model out, or name {found}"
            )
        return asked


@dataclass(frozen=True, kw_only=True)
class Format:
    """One layout of files."""

    name: str
    """As `--to` and `--from` have it."""
    variant: str = ""
    """One of several layouts of that name."""
    about: str
    """What its files are, for the list of formats."""
    suffixes: tuple[str, ...] = ()
    """Endings of its file; none is a folder."""
    sniff: Callable[[Path], bool] = lambda path: False
    """Whether an existing file or folder looks like one."""
    models: tuple[str, ...] = ()
    """Kinds of bodies that it holds."""
    holds: frozenset[str] = frozenset()
    """Columns of `People`, parameters and scores that it keeps; "body_model": it says of which model its parameters
    are."""
    needs: tuple[str, ...] = ()
    """What a person cannot be written without; "body" is orientation, pose and shape."""
    betas: int | None = 10
    """Shape coefficients that it holds; None: any number."""
    flat_hand_mean: bool | None = None
    """What its hands are measured from (see `People.flat_hand_mean`); None: the file says it, or holds no hands."""
    moves_camera: bool = False
    """Its camera is its own: people are placed anew before it."""
    center_of_image: bool = False
    """Its camera looks through the middle of the image, whose size the file does not hold."""
    matched: bool = False
    """Reading already matches its people to those of `Context.people`, row by row or frame by frame."""
    world: bool = False
    """Bodies are in the world and named by frame: `Context.people`, with cameras, and `body` are needed."""
    read: Callable[[Path, Context], Iterator[People]] | None = None
    """People of a file, in batches."""
    write: Callable[[Path, Iterable[People], Context], int] | None = None
    """Writes batches of people as a new file or folder; returns how many (of files of frames, how many frames)."""

    def __str__(self) -> str:
        return f"{self.name} ({self.variant})" if self.variant else self.name
