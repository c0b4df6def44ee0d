"""The folder of a world: images made in parallel, annotations in the files of real data sets, the truth beside them."""

from __future__ import annotations

import fcntl
import io
import json
import multiprocessing
import os
import shutil
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, fields
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from PIL import Image
from tqdm import tqdm

from .._errors import PgtfastError
from ..visuals import contact_sheet
from .clips import identity_of, read_clips
from .layouts import Piece, answers, image_path, write_bytes, write_json, write_set
from .picture import SETS, Painter

SHEET, RUN = "contact_sheet.jpg", "run.json"
_PIECES = ".pieces"
_CHUNK = 8
_SHOWN = 48


@dataclass(frozen=True, kw_only=True)
class WorldConfig:
    """What decides a world; the same config and version make the same files, however many workers make them."""

    images: int = 100
    """Images of wild."""
    studio: int | None = None
    """Images of the studio; None for as many as of wild."""
    bridge: int | None = None
    """Images of the bridge; None for an eighth of wild's, at least eight."""
    test: int | None = None
    """Images of the test; None for a quarter of wild's, at least eight."""
    sets: tuple[str, ...] = SETS
    """Which sets to make. A set is the same whatever others are made."""
    width: int = 256
    """Pixels."""
    height: int = 256
    """Pixels."""
    seed: int = 0
    """Of everything drawn."""
    people_min: int = 1
    """Fewest people in an image; of the open world, as are the following."""
    people_max: int = 3
    """Most people in an image."""
    keypoint_noise: float = 1.0
    """Standard deviation of annotated keypoints about the true ones, pixels and axis; more where hidden."""
    temperature: float = 1.1
    """Standard deviation of the latent from which poses are decoded."""
    poses: Path | None = None
    """npz of recorded poses that half of the people take; None for the prior's alone."""

    def __post_init__(self) -> None:
        checks = (
            ("images", 1 <= self.images <= 10**7, "1 to 10000000"),
            *((name, (getattr(self, name) or 0) >= 0, "0 or more") for name in ("studio", "bridge", "test")),
            ("sets", bool(self.sets) and set(self.sets) <= set(SETS), f"some of {', '.join(SETS)}"),
            ("width", 32 <= self.width <= 4096, "32 to 4096 pixels"),
            ("height", 32 <= self.height <= 4096, "32 to 4096 pixels"),
            ("seed", 0 <= self.seed < 2**63, "0 or more"),
            ("people_min", 1 <= self.people_min <= 12, "1 to 12"),
            ("people_max", self.people_min <= self.people_max <= 12, "people_min to 12"),
            ("keypoint_noise", 0 <= self.keypoint_noise <= 100, "0 to 100 pixels"),
            ("temperature", 0 <= self.temperature <= 3, "0 to 3"),
        )
        for name, good, wanted in checks:
            if not good:
                raise PgtfastError(f"{name}: wanted {wanted}, got {getattr(self, name)}")

    @property
    def counts(self) -> dict[str, int]:
        """Images of each set that is made."""
        few = {
            "wild": self.images,
            "studio": self.images,
            "bridge": max(self.images // 8, 8),
            "test": max(self.images // 4, 8),
        }
        asked = {"wild": self.images, "studio": self.studio, "bridge": self.bridge, "test": self.test}
        found = {}
        for kind in SETS:
            count = asked[kind]
            found[kind] = few[kind] if count is None else count
        return {kind: count for kind, count in found.items() if kind in self.sets and count}


class World(NamedTuple):
    """A finished world."""

    out: Path
    images: dict[str, int]
    """Of each set."""
    people: dict[str, int]
    """Annotated, of each set."""
    made: int
    """Images made by this call; the others existed before."""


def make_world(out: str | Path, config: WorldConfig, *, workers: int = 2, progress: bool = True) -> World:
    """Make a world, or what is missing of one.

    Args:
        out: folder; made if absent. A finished world of this config is left as it is.
        config: what to make.
        workers: processes; 0 works in this one.
        progress: show a bar on stderr.

    Raises:
        PgtfastError: the folder cannot be written, or holds something else.
    """
    out = Path(out)
    counts = config.counts
    if not counts:
        raise PgtfastError("sets: nothing to make: every set that is asked for has 0 images")
    run = _claim(out, config)
    made = 0
    if not run["finished"]:
        alone = _lock(out)
        try:
            names = [(kind, number) for kind, count in counts.items() for number in range(count)]
            missing = [(kind, number) for kind, number in names if not _piece_path(out, kind, number).exists()]
            made = len(missing)
            with tqdm(
                total=len(names), initial=len(names) - made, unit="image", disable=None if progress else True
            ) as bar:
                for count in _draw_all(out, config, missing, workers):
                    bar.update(count)
            run = _finish(out, config, run)
        except OSError as error:
            raise PgtfastError(
                f"{error.filename or out}: cannot be written ({error.strerror or error}); "
                "the same command resumes from here"
            ) from error
        finally:
            os.close(alone)
    return World(out, counts, run["people"], made)


def _claim(out: Path, config: WorldConfig) -> dict[str, Any]:
    """What run.json says; written if the folder is new."""
    wanted: dict[str, Any] = {
        **{f.name: getattr(config, f.name) for f in fields(config) if f.name not in (*SETS, "images", "sets", "poses")},
        **{kind: config.counts.get(kind, 0) for kind in SETS},
        "poses": identity_of(config.poses) if config.poses else None,
        "pgtfast_version": version("pgtfast"),
        **_assets(),
    }
    path = out / RUN
    try:
        if not path.exists():
            if out.is_dir() and any(out.iterdir()):
                raise PgtfastError(
                    f"out: {out} holds files but no {RUN}, so it is no world; choose a new or empty folder"
                )
            (out / _PIECES).mkdir(parents=True, exist_ok=True)
            run: dict[str, Any] = {"config": wanted, "finished": False}
            write_json(path, run)
            return run
        run = json.loads(path.read_text(encoding="utf-8"))
        found = run["config"]
        different = [k for k in {**wanted, **found} if wanted.get(k) != found.get(k)]
        finished = run["finished"]
    except OSError as error:
        raise PgtfastError(f"out: {out} cannot be written or read ({error.strerror}); choose another folder") from error
    except (json.JSONDecodeError, KeyError, TypeError, AttributeError) as error:
        raise PgtfastError(
            f"{path}: damaged, or of no world ({type(error).__name__}); choose another folder"
        ) from error
    if different:
        changes = "; ".join(f"{k}: {found.get(k)!r} there, {wanted.get(k)!r} now" for k in different)
        raise PgtfastError(
            f"out: {out} holds a world of another config ({changes}); choose another folder, or repeat that config"
        )
    lost = [
        str(p.relative_to(out)) for kind in config.counts for p in answers(out, kind) if finished and not p.is_file()
    ]
    if lost:
        raise PgtfastError(f"out: {out} is finished, but {' and '.join(lost)} is gone; choose another folder")
    return run


def _lock(out: Path) -> int:
    """A handle that keeps other processes from this folder until it is closed."""
    handle = os.open(out, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        raise PgtfastError(f"out: another process is making {out}; wait for it, or choose another folder") from None
    return handle


def _assets() -> dict[str, str]:
    from ..body import load_body
    from ..priors import load_vposer

    body, prior = load_body("free"), load_vposer("free")
    return {"body": f"free {body.source.sha256}", "prior": f"{prior.version} {prior.source.sha256}"}


def _draw_all(out: Path, config: WorldConfig, names: list[tuple[str, int]], workers: int) -> Iterator[int]:
    """Draw the images, in processes that each keep a renderer; yields how many more are done."""
    for left in out.rglob(".*.tmp"):
        left.unlink()
    if workers == 0:
        threads = torch.get_num_threads()
        try:
            _prepare(config)
            for name in names:
                yield _draw(out, config, [name])
        finally:
            torch.set_num_threads(threads)
            if _PAINTER:
                _PAINTER.pop().close()
        return
    chunks = [names[at : at + _CHUNK] for at in range(0, len(names), _CHUNK)]
    if not chunks:
        return
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])  # what takes seconds to import is imported once
    with ProcessPoolExecutor(min(workers, len(chunks)), context, _prepare_worker, (config,)) as pool:
        tasks = [pool.submit(_draw, out, config, chunk) for chunk in chunks]
        try:
            for task in as_completed(tasks):
                yield task.result()
        except BrokenProcessPool:
            raise PgtfastError(
                "a worker process died (killed, or out of memory); run the same command again, "
                "with fewer --workers, to resume from here"
            ) from None
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


_PAINTER: list[Painter] = []
"""The painter of a worker process."""


def _prepare(config: WorldConfig) -> None:
    torch.set_num_threads(1)
    size, people = (config.width, config.height), (config.people_min, config.people_max)
    clips = read_clips(config.poses) if config.poses else None
    _PAINTER.append(Painter(size, people, config.keypoint_noise, config.temperature, clips))


def _prepare_worker(config: WorldConfig) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the first process sees it, and lets the others finish their image
    threading.Thread(target=_end_with_parent, daemon=True).start()
    os.environ["LP_NUM_THREADS"] = "1"  # of Mesa's software renderer
    _prepare(config)


def _end_with_parent() -> None:
    """A worker whose first process was killed would wait for work for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _draw(out: Path, config: WorldConfig, names: list[tuple[str, int]]) -> int:
    for kind, number in names:
        picture = _PAINTER[-1].draw(kind, config.seed, number)
        content = io.BytesIO()
        Image.fromarray(picture.image).save(content, "JPEG", quality=92)
        write_bytes(out / kind / image_path(kind, number), content.getvalue())
        content = io.BytesIO()
        keys = picture.people[0] if picture.people else ()
        columns = {f"people/{key}": np.array([person[key] for person in picture.people]) for key in keys}
        # numpy types allow_pickle only
        np.savez(content, focal=picture.focal, center=picture.center, **columns)  # type: ignore[arg-type]
        write_bytes(_piece_path(out, kind, number), content.getvalue())
    return len(names)


def _finish(out: Path, config: WorldConfig, run: dict[str, Any]) -> dict[str, Any]:
    """Gather the pieces in each set's files, and say that the world is finished."""
    people = {}
    for kind, count in config.counts.items():
        pieces = (_read_piece(out, kind, number) for number in range(count))
        size = (config.width, config.height)
        people[kind] = write_set(out, kind, pieces, seed=config.seed, size=size, assets=_assets())
        shown = [np.asarray(Image.open(out / kind / image_path(kind, n))) for n in range(min(count, _SHOWN))]
        content = io.BytesIO()
        sheet = contact_sheet(shown, columns=8, cell=(round(256 * config.width / config.height) + 6, 262))
        Image.fromarray(sheet).save(content, "JPEG", quality=90)
        write_bytes(out / kind / SHEET, content.getvalue())
    run = {**run, "finished": True, "people": people}
    write_json(out / RUN, run)
    shutil.rmtree(out / _PIECES)
    return run


def _read_piece(out: Path, kind: str, number: int) -> Piece:
    with np.load(_piece_path(out, kind, number), allow_pickle=False) as file:
        image = {key: file[key] for key in ("focal", "center")}
        people = {key.removeprefix("people/"): file[key] for key in file.files if key.startswith("people/")}
    return Piece(number, image, people)


def _piece_path(out: Path, kind: str, number: int) -> Path:
    return out / _PIECES / kind / f"{number + 1:07d}.npz"
