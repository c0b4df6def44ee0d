"""Pictures that are missing or damaged: passed over, named, and the sequence stays one that can be resumed."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from pgtfast._errors import PgtfastError
from pgtfast.loading.loader import OrderedLoader
from pgtfast.people import ImageSet

pytest.importorskip("nvidia.dali")
pytest.importorskip("PIL.Image")

from tests.helpers.image_sets import SUPERVISION, config, damaged, encoded, folder, mixed, people, same, smooth_picture

KINDS = list(damaged(b"\0" * 200, b"\0" * 200))


@pytest.mark.parametrize("kind", KINDS)
def test_a_damaged_picture_is_passed_over_and_the_batch_stays_full(tmp_path, kind):
    held = folder(tmp_path, 8)
    whole = list(mixed([(held, 3)]).batches(0, 6))
    path = tmp_path / "made_05.jpg"
    content = damaged(path.read_bytes(), encoded(smooth_picture(5), "PNG"))[kind]
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    loader = mixed([(held, 3)])
    batches = list(loader.batches(0, 6))
    assert [len(b) for b in batches] == [3] * 6
    for batch, before in zip(batches, whole, strict=True):
        assert 5 not in batch.person.tolist()
        untouched = before.person != 5
        torch.testing.assert_close(batch.person[untouched], before.person[untouched])
        torch.testing.assert_close(batch.image[untouched], before.image[untouched], rtol=0, atol=0)
    (skipped,) = loader.skipped
    assert skipped[:3] == ("made", "made_05.jpg", 105)
    assert skipped.reason.startswith(kind)
    # The same in two processes, with another prefetch, and taken up in the middle.
    for rank in range(3):
        share = mixed([(held, 3)], config(prefetch=1), rank=rank, world=3)
        for part, batch in zip(share.batches(2, 6), batches[2:], strict=True):
            torch.testing.assert_close(part.image, batch.image[rank::3], rtol=0, atol=0)


def test_several_damaged_pictures_in_one_batch(tmp_path):
    held = folder(tmp_path, 12)
    kinds = damaged((tmp_path / "made_00.jpg").read_bytes(), encoded(smooth_picture(5), "PNG"))
    for i, content in enumerate(kinds.values()):
        path = tmp_path / f"made_{i:02d}.jpg"
        path.write_bytes(content) if content is not None else path.unlink()
    loader = mixed([(held, 6)])
    for batch in loader.batches(0, 4):
        assert set(batch.person.tolist()) <= {10, 11}
    assert sorted(s.annotation_id for s in loader.skipped) == list(range(100, 110))


def test_all_pictures_damaged_is_an_error(tmp_path):
    held = folder(tmp_path, 5)
    for path in tmp_path.iterdir():
        path.write_bytes(path.read_bytes()[:300])
    good = folder(tmp_path / "good", 3, "good")
    with pytest.raises(PgtfastError, match=r"stream 1 \(made\): 5 people, one after another, have no image"):
        next(mixed([(good, 2), (held, 2)]).batches(0, 2))
    loader = OrderedLoader(held, SUPERVISION, config(), batch_size=2)
    assert list(loader) == []
    assert len(loader.skipped) == 5


def test_undecodable_everywhere_ends_too(tmp_path):
    held = folder(tmp_path, 3)
    content = damaged(b"\0" * 200, encoded(smooth_picture(5), "PNG"))["decode"]
    for path in tmp_path.iterdir():
        path.write_bytes(content)
    with pytest.raises(PgtfastError, match="3 people, one after another, have no image that can be shown"):
        next(mixed([(held, 2)]).batches(0, 2))


def test_mutated_pictures_never_stop_the_loader(tmp_path):
    rng = np.random.default_rng(5)
    kinds = [("JPEG", {}), ("JPEG", {"progressive": True}), ("PNG", {}), ("WEBP", {}), ("BMP", {})]
    good = [encoded(smooth_picture(1), kind, **options) for kind, options in kinds]
    names = [f"{i}.bin" for i in range(80)]
    for i, name in enumerate(names):
        data = np.frombuffer(good[i % len(good)], np.uint8).copy()
        for _ in range(rng.integers(0, 4)):
            data[rng.integers(min(len(data), rng.choice([64, 10**6])))] = rng.integers(256)
        if rng.random() < 0.2:
            data = data[: rng.integers(len(data))]
        (tmp_path / name).write_bytes(data.tobytes())
    held = ImageSet(people=people(names), images=tmp_path, role="wild")
    loader = mixed([(held, 8)])
    whole = list(loader.batches(0, 20))
    assert all(len(b) == 8 and torch.isfinite(b.image).all() for b in whole)
    assert 10 < len(loader.skipped) < 70
    assert len({s.annotation_id for s in loader.skipped}) == len(loader.skipped)
    for again in (loader, mixed([(held, 8)], config(prefetch=1))):
        for a, b in zip(again.batches(12, 16), whole[12:16], strict=True):
            same(a, b)
