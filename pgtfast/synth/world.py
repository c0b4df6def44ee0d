"""The folder of a world: pictures made in parallel, annotations in COCO's format, the truth beside them."""

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
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from PIL import Image
from tqdm import tqdm

from .. import skeletons
from .._errors import PgtfastError
from ..formats.store import replacing
from ..visuals import contact_sheet
from .picture import Studio
from .truth import Truth, write_truth

ANNOTATIONS, IMAGES, CAMERAS, TRUTH = "annotations.json", "images", "cameras.json", "truth.npz"
SHEET, RUN = "contact_sheet.jpg", "run.json"
_PIECES = ".pieces"
_CHUNK = 4
_MOST = 100
"""Ids of annotations are those of their image times this, plus the person's number."""


@dataclass(frozen=True, kw_only=True)
class WorldConfig:
    """What decides a world; the same config and version make the same files, however many workers make them."""

    images: int = 100
    """Pictures."""
    width: int = 320
    """Pixels."""
    height: int = 256
    """Pixels."""
    seed: int = 0
    """Of everything drawn."""
    people_min: int = 1
    """Fewest people in a picture."""
    people_max: int = 3
    """Most people in a picture."""
    keypoint_noise: float = 1.0
    """Standard deviation of annotated keypoints about the true ones, pixels and axis; twice that where hidden."""
    temperature: float = 1.0
    """Standard deviation of the latent from which poses are decoded."""

    def __post_init__(self) -> None:
        checks = (
            ("images", 1 <= self.images <= 10**7, "1 to 10000000"),
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


class World(NamedTuple):
    """A finished world."""

    out: Path
    images: int
    people: int
    made: int
    """Pictures made by this call; the others were there before."""


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
    run = _claim(out, config)
    if not run["finished"]:
        alone = _lock(out)
        try:
            missing = [n for n in range(config.images) if not _piece(out, n).exists()]
            with tqdm(
                total=config.images,
                initial=config.images - len(missing),
                unit="image",
                disable=None if progress else True,
            ) as bar:
                for count in _draw_all(out, config, missing, workers):
                    bar.update(count)
            run = _finish(out, config, run)
        except OSError as error:
            raise PgtfastError(
                f"{error.filename or out}: cannot be written ({error.strerror or error}); the same command goes on from here"
            ) from error
        finally:
            os.close(alone)
        return World(out, config.images, run["people"], len(missing))
    return World(out, config.images, run["people"], 0)


def _claim(out: Path, config: WorldConfig) -> dict[str, Any]:
    """What run.json says; written if the folder is new."""
    wanted = {**asdict(config), "pgtfast_version": version("pgtfast"), **_assets()}
    path = out / RUN
    try:
        if not path.exists():
            if out.is_dir() and any(out.iterdir()):
                raise PgtfastError(
                    f"out: {out} holds files but no {RUN}, so it is no world; choose a new or empty folder"
                )
            for folder in (IMAGES, _PIECES):
                (out / folder).mkdir(parents=True, exist_ok=True)
            run: dict[str, Any] = {"config": wanted, "finished": False}
            _write_json(path, run)
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
    lost = [name for name in (ANNOTATIONS, TRUTH) if finished and not (out / name).is_file()]
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


def _draw_all(out: Path, config: WorldConfig, numbers: list[int], workers: int) -> Iterator[int]:
    """Draw the pictures, in processes that each keep a renderer; yields how many more are done."""
    for left in (*(out / IMAGES).glob(".*.tmp"), *(out / _PIECES).glob(".*.tmp")):
        left.unlink()
    if workers == 0:
        threads = torch.get_num_threads()
        try:
            _prepare(config)
            for number in numbers:
                yield _draw(out, config, [number])
        finally:
            torch.set_num_threads(threads)
            _STUDIO.pop().close()
        return
    chunks = [numbers[at : at + _CHUNK] for at in range(0, len(numbers), _CHUNK)]
    if not chunks:
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(workers, len(chunks)), context, _prepare_worker, (config,)) as pool:
        tasks = [pool.submit(_draw, out, config, chunk) for chunk in chunks]
        try:
            for task in as_completed(tasks):
                yield task.result()
        except BrokenProcessPool:
            raise PgtfastError(
                "a worker process died (killed, or out of memory); run the same command again, with fewer --workers, to go on from here"
            ) from None
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


_STUDIO: list[Studio] = []
"""The studio of a worker process."""


def _prepare(config: WorldConfig) -> None:
    torch.set_num_threads(1)
    size, people = (config.width, config.height), (config.people_min, config.people_max)
    _STUDIO.append(Studio(size, people, config.keypoint_noise, config.temperature))


def _prepare_worker(config: WorldConfig) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the first process sees it, and lets the others finish their picture
    threading.Thread(target=_end_with_parent, daemon=True).start()
    os.environ["LP_NUM_THREADS"] = "1"  # of Mesa's software renderer
    _prepare(config)


def _end_with_parent() -> None:
    """A worker whose first process was killed would wait for work for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _draw(out: Path, config: WorldConfig, numbers: list[int]) -> int:
    for number in numbers:
        picture = _STUDIO[-1].draw(config.seed, number)
        content = io.BytesIO()
        Image.fromarray(picture.image).save(content, "JPEG", quality=92)
        _write(out / IMAGES / _name(number), content.getvalue())
        content = io.BytesIO()
        columns = {f"{at}/{name}": value for at, person in enumerate(picture.people) for name, value in person.items()}
        np.savez(content, focal=picture.focal, center=picture.center, **columns)
        _write(_piece(out, number), content.getvalue())
    return len(numbers)


def _finish(out: Path, config: WorldConfig, run: dict[str, Any]) -> dict[str, Any]:
    """Gather the pieces: annotations, truth, contact sheet; then say that the world is finished."""
    skeleton = skeletons.get("coco17")
    images, annotations, people = [], [], []
    cameras = {}
    for number in range(config.images):
        image_id = number + 1
        images.append({"id": image_id, "file_name": _name(number), "width": config.width, "height": config.height})
        with np.load(_piece(out, number), allow_pickle=False) as piece:
            cameras[_name(number)] = {name: piece[name].tolist() for name in ("focal", "center")}
            for at in range(sum(key.endswith("/bbox") for key in piece.files)):
                person = {name: piece[f"{at}/{name}"] for name in ("bbox", "area", "keypoints")}
                ids = {"annotation_id": np.int64(image_id * _MOST + at), "image_id": np.int64(image_id)}
                truth = {name: piece[f"{at}/{name}"] for name in Truth._fields if name not in ids}
                people.append({**ids, **truth})
                annotations.append(_annotation(person, people[-1]))
    category = {
        "id": 1,
        "name": "person",
        "supercategory": "person",
        "keypoints": list(skeleton.joints),
        "skeleton": [[a + 1, b + 1] for a, b in skeleton.edges],
    }
    info = {
        "description": f"pgtfast free synthetic world, seed {config.seed}",
        "version": run["config"]["pgtfast_version"],
    }
    coco = {"info": info, "images": images, "annotations": annotations, "categories": [category]}
    with replacing(out / TRUTH) as partial:
        write_truth(partial, people)
    _write_json(out / CAMERAS, cameras)
    _write_json(out / ANNOTATIONS, coco)
    shown = [np.asarray(Image.open(out / IMAGES / _name(n))) for n in range(min(config.images, 48))]
    content = io.BytesIO()
    sheet = contact_sheet(shown, columns=6, cell=(round(256 * config.width / config.height) + 6, 262))
    Image.fromarray(sheet).save(content, "JPEG", quality=90)
    _write(out / SHEET, content.getvalue())
    run = {**run, "finished": True, "people": len(people)}
    _write_json(out / RUN, run)
    shutil.rmtree(out / _PIECES)
    return run


def _annotation(person: dict, truth: dict) -> dict[str, Any]:
    flags = truth["visibility"]
    keypoints = [
        value
        for (x, y), flag in zip(person["keypoints"].tolist(), flags.tolist(), strict=True)
        for value in (round(x, 2), round(y, 2), flag)
    ]
    return {
        "id": int(truth["annotation_id"]),
        "image_id": int(truth["image_id"]),
        "category_id": 1,
        "iscrowd": 0,
        "bbox": [round(v, 2) for v in person["bbox"].tolist()],
        "area": round(float(person["area"]), 2),
        "num_keypoints": int((flags > 0).sum()),
        "keypoints": keypoints,
    }


def _name(number: int) -> str:
    return f"{number + 1:06d}.jpg"


def _piece(out: Path, number: int) -> Path:
    return out / _PIECES / f"{number + 1:06d}.npz"


def _write(path: Path, content: bytes) -> None:
    """Whole or not at all. Not flushed to the disk one by one: a picture is cheap to make again."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    partial.write_bytes(content)
    os.replace(partial, path)


def _write_json(path: Path, value: Any) -> None:
    with replacing(path) as partial:
        partial.write_text(json.dumps(value) + "\n", encoding="utf-8")
