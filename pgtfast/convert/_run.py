"""Read, match, check, write, and say what became of everybody."""

from __future__ import annotations

import contextlib
import itertools
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import torch

from .._errors import PgtfastError
from ..body import BodyModel, load_body
from ..formats.format import Context, Format
from ..formats.people_index import read_people
from ..formats.registry import source_of, target_of
from ..people import People
from ..priors import VPoser, load_vposer
from ._config import ConvertConfig, ConvertResult
from ._flow import Flow
from ._output import new, refuse_existing

_SWITCH = 2e-4
"""Seconds that a thread keeps Python's lock while the other waits for it."""


def run(config: ConvertConfig) -> ConvertResult:
    """Convert a file; prints what became of everybody.

    Raises:
        PgtfastError: SRC cannot be read, DST exists or cannot be written, or nobody can be written so; the message
        names file, key and cure.
    """
    src, dst = Path(config.src), Path(config.dst)
    target = target_of(config.to, config.variant, dst)
    variant = config.src_variant or ("itw" if target.variant else config.variant)
    source = source_of(config.source, variant, src)
    if config.min_quality is not None and "quality" not in source.holds:
        raise PgtfastError(f"--min-quality: {src} is a {source.name} file; only the store of pgtfast knows a quality")
    refuse_existing(dst)
    context = _context(config, source, target)
    flow = Flow(config, source, target, context)
    assert source.read is not None
    assert target.write is not None
    started = time.perf_counter()
    with _two_threads(), new(dst, folder=not target.suffixes) as partial:
        batches = _ahead(flow.kept(source.read(src, context)))
        first = next((people for people in batches if len(people)), None)
        if first is None:
            why = "; ".join((*flow.lines(), *context.notes.lines())) or "it holds nobody"
            raise PgtfastError(f"{src}: nobody to write as {config.to}: {why}")
        written = target.write(partial, itertools.chain([first], batches), context)
    seconds = time.perf_counter() - started
    lines = (*flow.lines(), *context.notes.lines())
    print(f"{src} ({source.name}): {flow.read} people, {flow.bodies} with a body")
    print(f"{dst} ({config.to}): {written} written in {seconds:.1f} s ({flow.read / max(seconds, 1e-9):.0f} people/s)")
    for line in lines:
        print(line)
    return ConvertResult(
        read=flow.read,
        bodies=flow.bodies,
        written=written,
        lost=flow.lost + context.notes.lost,
        notes=lines,
        seconds=seconds,
    )


def _context(config: ConvertConfig, source: Format, target: Format) -> Context:
    body = load_body(config.body) if config.body else None
    context = Context(
        dataset=config.dataset or Path(config.src).stem,
        body_model=config.body_model,
        body=body,
        measured=_measured(body),
        images=None if config.images is None else Path(config.images),
        focal=config.focal,
        prior=_prior(config),
        source=Path(config.src),
        source_format=source.name,
    )
    if config.people is None:
        return context
    world = next((f.variant for f in (target, source) if f.world), "")
    return replace(
        context, people=read_people(config.people, dataset=context.dataset, variant=world, cameras=config.cameras)
    )


def _measured(body: BodyModel | None) -> BodyModel:
    """A body with SMPL's joints to measure with."""
    free = load_body("free")
    like = body is not None and body.num_joints == free.num_joints
    return (body if like and body is not None else free).to("cpu", torch.float64)


def _prior(config: ConvertConfig) -> VPoser | None:
    if config.prior is None:
        return None
    prior = load_vposer(config.prior)
    if prior.version != config.prior_version:
        raise PgtfastError(
            f"--prior {config.prior}: is {prior.version!r}, not {config.prior_version!r}; latents of different "
            f"versions are not exchangeable"
        )
    return prior


@contextlib.contextmanager
def _two_threads() -> Iterator[None]:
    """Settings for one thread that reads and one that writes: torch without threads of its own, which would be in their
    way, and a lock that goes to and fro between them in a fraction of the time that a batch takes."""
    threads, interval = torch.get_num_threads(), sys.getswitchinterval()
    torch.set_num_threads(1)
    sys.setswitchinterval(_SWITCH)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        sys.setswitchinterval(interval)


def _ahead(batches: Iterator[People]) -> Iterator[People]:
    """The same batches; the next is made while one is written."""
    with ThreadPoolExecutor(1, "reading") as pool:
        coming = pool.submit(next, batches, None)
        while (people := coming.result()) is not None:
            coming = pool.submit(next, batches, None)
            yield people
