"""A run: people of a dataset in, store, pictures and exported files out."""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import torch

from .._errors import PgtfastError
from .._options import chosen_device, needing
from ..data import ImageSet
from ..data.columns import usable_rows
from ..data.loader import LoaderConfig, OrderedLoader
from ..formats import Store
from ..formats.bulk import export_neuralannot, finish_run, left_over
from ..formats.quality import Quality, load_quality
from ._bodies import Measured, annotate_batch
from ._network import LoadedNetwork, open_network
from ._parts import PartWriter
from ._people import open_people

METHOD = "pgtfast-annotator"


def run(options: argparse.Namespace) -> None:
    """Do all that the command line asks; raises PgtfastError on bad input."""
    device = chosen_device(options.device)
    if options.threads is not None:
        torch.set_num_threads(options.threads)
    image_set, digest = open_people(options)
    if options.overlays and not isinstance(image_set.images, Path):
        raise PgtfastError("--overlays: the images of this set are in tars; unpack them to draw on them")
    network = open_network(options.checkpoint, options.engine, device, body=options.body, prior=options.prior)
    quality = load_quality(options.quality)
    loader = _open_loader(options, image_set, network, device)
    people = image_set.people
    with Store(options.out, _config(options, image_set, digest, network, quality)) as store:
        left = left_over(people, store)
        if store.finished and not left.any():
            print(f"{options.out}: finished already, {len(people)} people; nothing is annotated again")
        else:
            if not left.all():
                print(f"{options.out}: taken up again, {(~left).sum()} of {len(people)} people are there")
            started = time.perf_counter()
            parts = PartWriter(store, people, np.flatnonzero(left), network, METHOD, quality)
            done = _annotate(options, loader, network, parts)
            finish_run(
                store, read=len(people), done=done, seconds=time.perf_counter() - started, device=str(device),
                threads=torch.get_num_threads(), verb="annotated", torch=torch.__version__,
            )  # fmt: skip
        if options.export == "neuralannot":
            export_neuralannot(store, network.body.kind)
        if options.overlays and isinstance(image_set.images, Path):
            with needing("report", "--overlays"):
                from ..visuals.runs import draw_run
            draw_run(store.folder, image_set.images, network.body.to(device="cpu"), options.overlays)


def _open_loader(
    options: argparse.Namespace, image_set: ImageSet, network: LoadedNetwork, device: torch.device
) -> OrderedLoader | None:
    """Crops of all who can be annotated; None where nobody can."""
    if not len(usable_rows(image_set.people)):
        return None
    config = LoaderConfig(
        crop_size=network.config.input_size, normalize=network.config.normalize, adjust_orientation=options.exif,
        threads=options.loader_threads, device=device.type,
    )  # fmt: skip
    return OrderedLoader(image_set, None, config, batch_size=options.batch_size)


def _annotate(
    options: argparse.Namespace, loader: OrderedLoader | None, network: LoadedNetwork, parts: PartWriter
) -> int:
    """Write rows of the people that the store lacks, part by part; how many got through the network."""
    from tqdm import tqdm

    if loader is None:
        parts.write((), last=True)
        return 0
    done = 0
    loader.rows = loader.rows[parts.open[loader.rows]]
    measured = Measured.of(parts.people.landmark_set, network)
    with tqdm(total=len(loader.rows), unit="people", desc="annotate", disable=None, smoothing=0.1) as bar:
        for batch in loader:
            person = batch.person.cpu().numpy()
            batch = batch.to(network.body.device)
            parts.add(
                person, annotate_batch(batch, network, measured, flip_test=options.flip_test, jitter=options.jitter)
            )
            done += len(person)
            bar.update(len(person))
            if parts.waiting >= options.part_size:
                parts.write(loader.skipped)
        parts.write(loader.skipped, last=True)
    return done


def _config(
    options: argparse.Namespace, image_set: ImageSet, digest: str, network: LoadedNetwork, quality: Quality
) -> dict:
    """All that decides the result; device, threads, batch and part size, pictures and exports do not."""
    body, prior = network.body, network.prior
    return {
        "command": "annotate",
        "people": digest,
        "dataset": image_set.people.dataset,
        "network": network.sha256,
        "engine": network.engine.name,
        "body": {"kind": body.kind, "gender": body.gender, "sha256": body.source.sha256},
        "prior": None if prior is None else {"version": prior.version, "sha256": prior.source.sha256},
        "flip_test": options.flip_test,
        "jitter": options.jitter,
        "quality": quality.sha256,
        "exif": options.exif,
        "limit": options.limit,
    }
