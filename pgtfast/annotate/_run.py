"""A run: people of a dataset in, store, pictures and exported files out."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import replace
from pathlib import Path

import torch

from .._errors import PgtfastError
from .._options import chosen_device, needing
from ..formats.bulk import export_neuralannot
from ..quality.score import load_quality
from ..runs.parts import Store, part_name
from ..runs.processes import run_processes
from ..runs.stop import Stop
from ..runs.summary import finish_run
from . import AnnotateResult
from ._config import AnnotateConfig
from ._inputs import Input, open_input
from ._network import LoadedNetwork
from ._parts import Written
from ._plan import PLAN_FILE, Plan, write_plan
from ._ray import run_ray
from ._work import Annotating, Job, ShardTask

PROBED = 64
"""So many images are looked for before anything is annotated."""


def run(config: AnnotateConfig) -> AnnotateResult:
    """Do all that a config asks.

    Raises:
        PgtfastError: an option or a file that does not fit.
    """
    chosen_device(config.device)
    if config.threads is not None:
        torch.set_num_threads(config.threads)
    source = open_input(config)
    if config.overlays and not isinstance(source.images, Path):
        raise PgtfastError("--overlays: the images of this set are in tars; unpack them to draw on them")
    job, done = Job(config, source.images), 0
    network = job.open_network()
    with Store(config.out, _result_config(config, source, network)) as store:
        if isinstance(source.images, Path):
            store.write_run(images=str(source.images.resolve()))
        if store.finished and len(store.notes) == store.metadata.get("parts"):
            print(
                f"{config.out}: finished already, {store.metadata['counts']['read']} people; nothing is annotated again"
            )
        else:
            plan = _plan(config, source, job, store)
            with Stop("ending after the shards in work; once more ends at once", settle=0, kill=True) as stop:
                done, seconds = _annotate(config, job, network, plan, store, stop)
            left = plan.left(set(store.notes))
            if stop.signal is not None and left:
                print(
                    f"{config.out}: {signal.Signals(stop.signal).name}: "
                    f"ended with {len(plan.sizes) - len(left)} of {len(plan.sizes)} shards written; "
                    "the same command goes on from there"
                )
                return AnnotateResult(config.out, plan.people, done, stop.signal)
            _finish(store, plan, job, done, seconds)
        if config.export == "neuralannot":
            export_neuralannot(store, network.body.kind, config.min_quality)
        if config.overlays and isinstance(source.images, Path):
            with needing("report", "--overlays"):
                from ..visuals.runs import draw_run
            body = network.body.to(device="cpu")
            draw_run(store.folder, source.images, body, config.overlays, exif=config.exif)
        return AnnotateResult(config.out, sum(note.rows for note in store.notes.values()), done)


def _plan(config: AnnotateConfig, source: Input, job: Job, store: Store) -> Plan:
    """The run's plan: that which is there, else a new one."""
    path, new = store.folder / PLAN_FILE, not store.notes
    try:
        if not path.is_file():
            write_plan(path, source, part_size=config.part_size, shards=store.metadata.get("shards"))
        plan = Plan(path)
        _look_for_images(plan, source, job)
    except PgtfastError:
        if new:
            store.discard(PLAN_FILE)
        raise
    if store.metadata.get("shards") != plan.shards or store.finished:
        store.write_run(shards=plan.shards, finished=False)
    written = sum(note.rows for note in store.notes.values())
    if store.notes:
        print(f"{config.out}: resumed, {written} of {plan.people} people are written")
    _check_parts(store, plan)
    return plan


def _look_for_images(plan: Plan, source: Input, job: Job) -> None:
    """Refuse a folder that is another one's: nothing is gained by a run of nothing but missing images."""
    probed = plan.some(PROBED)
    images = source.images
    job.open_images()
    # os.path.isfile: unlike Path.is_file no error for a name that is too long
    there = (os.path.isfile(images / name) if isinstance(images, Path) else held for name, held in probed)
    if probed and not any(there):
        where = images if isinstance(images, Path) else ", ".join(path.name for path in images[:3])
        raise PgtfastError(
            f"{plan.dataset}: none of {len(probed)} images looked for is in {where}, for example {probed[0][0]}; "
            "name the folder that the annotations' file names are relative to"
        )


def _check_parts(store: Store, plan: Plan) -> None:
    """Each part that is there must be of a shard of the plan and hold all of its people."""
    wanted = {part_name(number): people for number, people in plan.sizes.items()}
    for name, note in store.notes.items():
        if wanted.get(name) != note.rows:
            told = f"wanted {wanted[name]}" if name in wanted else "the plan has no such part"
            raise PgtfastError(
                f"{store.parts / name}: holds {note.rows} people, {told}; remove it and run the same command"
            )


def _annotate(
    config: AnnotateConfig, job: Job, network: LoadedNetwork, plan: Plan, store: Store, stop: Stop
) -> tuple[int, float]:
    """Write the parts that are not there; how many people went through the network, and the seconds it took."""
    from tqdm import tqdm

    left = plan.left(set(store.notes))
    started, done = time.perf_counter(), 0
    total = sum(plan.sizes[number] for number in left)
    with tqdm(total=total, unit="people", desc="annotate", disable=None, smoothing=0.1) as bar:

        def written(part: Written) -> None:
            nonlocal done
            store.note(part.note)
            done += part.annotated
            bar.update(part.note.rows)

        if not left:
            pass
        elif config.workers == "ray":
            run_ray(job, left, config.processes, written, stop)
        elif config.processes > 1:
            tasks = [
                ShardTask(replace(job, config=replace(config, device=device)))
                for device in _devices(config.device, config.processes)
            ]
            run_processes(tasks, left, written, stop, piece="shard")
        else:
            Annotating(job, network).run(stop.until(left), written)
    return done, time.perf_counter() - started


def _devices(device: str, count: int) -> list[str]:
    """Of each process; with "cuda" process i has GPU i."""
    if device != "cuda":
        return [device] * count
    return [f"cuda:{number % torch.cuda.device_count()}" for number in range(count)]


def _finish(store: Store, plan: Plan, job: Job, done: int, seconds: float) -> None:
    _check_parts(store, plan)
    missing = plan.left(set(store.notes))
    if missing:
        raise PgtfastError(
            f"{store.folder}: {len(missing)} shards were not written; the same command goes on with them"
        )
    finish_run(
        store, read=plan.people, done=done, seconds=seconds, device=job.config.device,
        threads=torch.get_num_threads(), verb="annotated",
    )  # fmt: skip
    store.write_run(parts=len(store.notes))
    plan.path.unlink()


def _result_config(config: AnnotateConfig, source: Input, network: LoadedNetwork) -> dict:
    """All that decides the result; device, threads, processes, batch and part size, pictures and exports do not."""
    body, prior = network.body, network.prior
    return {
        "command": "annotate",
        "people": source.fingerprint,
        "tars": _tars(source),
        "dataset": source.dataset,
        "network": network.sha256,
        "engine": network.engine.name,
        "body": {"kind": body.kind, "gender": body.gender, "sha256": body.source.sha256},
        "prior": None if prior is None else {"version": prior.version, "sha256": prior.source.sha256},
        "flip_test": config.flip_test,
        "jitter": config.jitter,
        "quality": load_quality(config.quality).sha256,
        "refine": config.refine,
        "exif": config.exif,
        "follow_links": config.follow_links,
        "limit": config.limit,
    }


def _tars(source: Input) -> list | None:
    """Names and sizes of the tars in their order, by which the plan knows where pictures lie; None for a folder."""
    if isinstance(source.images, Path):
        return None
    return [[path.name, path.stat().st_size] for path in source.images]
