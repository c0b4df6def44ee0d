"""The CPU kernels' workers: after a fork, and under several callers at once."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from pgtfast import ops
from tests.ops.bodies import body_arguments, skin_terms

FORKED = """
import os, sys, warnings
warnings.simplefilter("ignore")
import torch
from pgtfast import ops
from tests.ops.bodies import body_arguments, skin_terms

torch.set_num_threads(2)
terms, arguments = skin_terms(vertices=500, dtype=torch.float32), body_arguments((256,), dtype=torch.float32)
before = ops.vertices(*arguments, terms).numpy()  # torch's own OpenMP threads do not survive a fork: compare in numpy
child = os.fork()
same = (ops.vertices(*arguments, terms).numpy() == before).all()
if child == 0:
    os._exit(0 if same else 7)
status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
sys.exit(status if same else 8)
"""


@pytest.fixture
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def test_forked_child_has_workers_of_its_own():
    done = subprocess.run([sys.executable, "-c", FORKED], timeout=60, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.usefixtures("two_threads")
def test_callers_at_once_get_their_own_results():
    terms = skin_terms(vertices=200, dtype=torch.float32)
    people = [body_arguments((96,), dtype=torch.float32, seed=seed) for seed in range(4)]
    alone = [ops.vertices(*arguments, terms) for arguments in people]
    with ThreadPoolExecutor(4) as pool:
        for _ in range(25):
            together = list(pool.map(lambda arguments: ops.vertices(*arguments, terms), people))
            assert all(torch.equal(a, b) for a, b in zip(alone, together, strict=True))
