"""An untrained network, and a made-up set of a few pictures with a few people each."""

from __future__ import annotations

import multiprocessing
from pathlib import Path

import pytest
import torch

from pgtfast.networks import Annotator, NetworkConfig
from pgtfast.networks.files import save_annotator
from tests.annotate.runs import Crowd, annotate, make_crowd, parts, rows, words

SMALL = NetworkConfig(depth=18, width=8, input_size=(64, 64), mode="improved", normalize="imagenet")


@pytest.fixture(scope="session")
def crowd(tmp_path_factory) -> Crowd:
    return make_crowd(tmp_path_factory.mktemp("crowd"), 24, 3)


@pytest.fixture(scope="session")
def network(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("network") / "annotator.ckpt"
    torch.manual_seed(0)
    save_annotator(path, Annotator(SMALL), sets=("p2p25", "coco17"))
    return path


@pytest.fixture(scope="session")
def forks():
    """Where child processes come from: a process that has imported everything and done nothing yet, so that they start
    at once.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.annotate.children"])
    return context


@pytest.fixture(scope="session")
def undisturbed(crowd, network, tmp_path_factory) -> Path:
    """A run that nothing happened to."""
    out = tmp_path_factory.mktemp("undisturbed") / "run"
    assert annotate(*words(crowd, network, out)) == 0
    assert sorted(rows(out)) == crowd.ids
    assert len(parts(out)) > 15
    return out
