"""Crops of real and made pictures through DALI: against OpenCV, resumed, and shared among processes."""

from __future__ import annotations

import os
import tarfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from pgtfast._errors import PgtfastError
from pgtfast.datasets import read_coco_persons
from pgtfast.images.augment import NONE, AugmentConfig, draw, generator
from pgtfast.images.crops import corner_based, crop_matrices, inverse_matrices
from pgtfast.loading import Batch
from pgtfast.loading.loader import LoaderConfig, MixedLoader, OrderedLoader
from pgtfast.people import ImageSet

cv2 = pytest.importorskip("cv2")
pytest.importorskip("nvidia.dali")
Image = pytest.importorskip("PIL.Image")

SHARED = Path(os.environ.get("PGTFAST_SHARED", Path(__file__).parents[3] / "shared")) / "data"

from tests.helpers.image_sets import (  # noqa: E402
    SMALL,
    SUPERVISION,
    config,
    damaged,
    encoded,
    folder,
    mixed,
    people,
    same,
    smooth_picture,
)
from tests.helpers.writers2d import COCO, write_detailed_picture  # noqa: E402

# ---- against OpenCV


def pose2pose_crop(picture: np.ndarray, box: np.ndarray, size: tuple[int, int], scale, turn, flip, color) -> np.ndarray:
    """(H, W, 3) float32 of 255: mirrored picture, affine map through three points, OpenCV's warp in floats, colour cut
    at 255."""
    picture = picture.astype(np.float32)
    middle = box[:2] + box[2:] / 2
    if flip:
        picture, middle = (
            np.ascontiguousarray(picture[:, ::-1]),
            np.array([picture.shape[1] - 1 - middle[0], middle[1]]),
        )
    axes = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]) @ np.diag(box[2:] * scale / 2)
    source = np.float32([middle, middle + axes[:, 1], middle + axes[:, 0]])
    there = np.float32([[size[0] / 2, size[1] / 2], [size[0] / 2, size[1]], [size[0], size[1] / 2]])
    out = cv2.warpAffine(picture, cv2.getAffineTransform(source, there), size, flags=cv2.INTER_LINEAR)
    return np.clip(out * color, 0, 255)


def real_set(folder: Path) -> ImageSet:
    """People of COCO in their photos; where those are absent, in drawn pictures of the same sizes."""
    annotated, photos = read_coco_persons(COCO), SHARED / "coco_mini" / "train2017"
    if not photos.is_dir():
        if os.environ.get("PGTFAST_REQUIRE_SHARED") == "1":
            pytest.fail(f"no shared data at {photos}")
        for name, size in list(zip(annotated.image_path, annotated.image_size, strict=True))[:30]:
            write_detailed_picture(folder / name, tuple(size.tolist()))
        photos = folder
    there = [p is not None and (photos / p).is_file() for p in annotated.image_path]
    return ImageSet(people=annotated.rows(np.array(there)), images=photos, role="wild")


def stored_pixels(path: Path) -> np.ndarray:
    return cv2.imread(str(path), cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)[:, :, ::-1]


@pytest.mark.parametrize("augment", [AugmentConfig(), NONE], ids=["augmented", "plain"])
@pytest.mark.parametrize("normalize", ["unit", "imagenet"])
def test_crops_of_real_pictures_are_those_of_opencv(augment, normalize, tmp_path):
    images = real_set(tmp_path)
    settings = LoaderConfig(augment=augment, normalize=normalize, seed=1)
    loader = mixed([(images, 12)], settings)
    errors = []
    for step, batch in enumerate(loader.batches(0, 4)):
        drawn = draw(augment, 12, generator(1, step))
        crops = batch.image.numpy().transpose(0, 2, 3, 1)
        if normalize == "imagenet":
            crops = crops * np.float32([0.229, 0.224, 0.225]) + np.float32([0.485, 0.456, 0.406])
        for i in range(12):
            picture = stored_pixels(images.images / images.people.image_path[int(batch.person[i])])
            assert batch.size[i].tolist() == [picture.shape[1], picture.shape[0]]
            wanted = pose2pose_crop(
                picture,
                batch.box[i].double().numpy(),
                (192, 256),
                drawn.scale[i],
                -drawn.rotation[i],
                drawn.flip[i],
                drawn.color[i],
            )
            errors.append(np.abs(crops[i] * 255 - wanted))
    means = [e.mean() for e in errors]
    # Rounding to whole brightness before the colour factor costs at most 0.6, a quarter in the mean.
    assert np.mean(means) < 0.3
    assert max(means) < 1.5
    assert max(e.max() for e in errors) < 2
    assert not loader.skipped


def test_the_matrix_for_warp_affine_gives_the_same_crops(tmp_path):
    """What a GPU is given, tried on the CPU: `warp_affine` by corner-based matrices against OpenCV."""
    from nvidia.dali import fn, pipeline_def, types

    rng = np.random.default_rng(0)
    boxes = np.array([[10.3, 5.2, 45, 60], [30, 22.7, 30, 40]])
    drawn = draw(AugmentConfig(rotation_p=1), 2, rng)
    matrices = crop_matrices(
        boxes, np.full(2, 96), SMALL, scale=drawn.scale, rotation=drawn.rotation, flip=np.array([True, False])
    )
    given = corner_based(inverse_matrices(matrices)).astype(np.float32)
    pictures = np.stack([smooth_picture(i) for i in range(2)])

    @pipeline_def
    def pipeline():
        image = fn.external_source(source=lambda: pictures, dtype=types.UINT8, ndim=3, layout="HWC")
        matrix = fn.external_source(source=lambda: given, dtype=types.FLOAT, ndim=2)
        return fn.warp_affine(image, matrix=matrix, size=SMALL[::-1], fill_value=0, inverse_map=True)

    (found,) = pipeline(batch_size=2, num_threads=1, device_id=None).run()
    for i in range(2):
        wanted = cv2.warpAffine(pictures[i].astype(np.float32), matrices[i], SMALL, flags=cv2.INTER_LINEAR)
        assert np.abs(found.at(i) - wanted).mean() < 0.6


def test_landmarks_follow_the_matrix_to_the_same_pixels(tmp_path):
    """A white dot lands where the batch's matrix says, mirrored and turned."""
    picture = np.zeros((80, 96, 3), np.uint8)
    picture[41, 37] = 255
    (tmp_path / "dot.png").write_bytes(encoded(picture, "PNG"))
    held = ImageSet(people=people(["dot.png"]), images=tmp_path, role="wild")
    settings = config(crop_size=(192, 256), augment=AugmentConfig(color=0, rotation_p=1))
    flips = set()
    for batch in mixed([(held, 1)], settings).batches(0, 12):
        weight = batch.image[0].sum(0)
        rows, columns = torch.meshgrid(torch.arange(256.0), torch.arange(192.0), indexing="ij")
        found = torch.stack([(weight * columns).sum(), (weight * rows).sum()]) / weight.sum()
        wanted = batch.matrix[0] @ torch.tensor([37.0, 41, 1])
        torch.testing.assert_close(found, wanted, atol=0.05, rtol=0)
        flips.add(bool(batch.flip[0]))
    assert flips == {True, False}


def test_outside_the_picture_is_black(tmp_path):
    (tmp_path / "a.png").write_bytes(encoded(np.full((80, 96, 3), 200, np.uint8), "PNG"))
    held = ImageSet(people=people(["a.png"], bbox=np.array([[0.0, 0, 20, 79]])), images=tmp_path, role="wild")
    (batch,) = OrderedLoader(held, SUPERVISION, config())
    assert (batch.image[0, :, :, 0] == 0).all()
    torch.testing.assert_close(batch.image[0, :, 32, 40], torch.full((3,), 200 / 255))


# ---- files of every kind


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
@pytest.mark.parametrize("adjust", [False, True])
def test_exif_orientation_is_followed_only_on_demand(tmp_path, orientation, adjust):
    picture = smooth_picture(3)
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encoded(picture, exif=exif.tobytes())
    (tmp_path / "a.jpg").write_bytes(data)
    stored = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)[:, :, ::-1]
    seen = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)[:, :, ::-1] if adjust else stored
    size = seen.shape[1], seen.shape[0]
    held = ImageSet(people=people(["a.jpg"], size=size), images=tmp_path, role="wild")
    (batch,) = OrderedLoader(held, SUPERVISION, config(adjust_orientation=adjust))
    wanted = pose2pose_crop(seen, batch.box[0].double().numpy(), SMALL, 1, 0, False, 1)
    assert np.abs(batch.image[0].numpy().transpose(1, 2, 0) * 255 - wanted).mean() < 1.0
    if orientation >= 5:
        loader = OrderedLoader(held, SUPERVISION, config(adjust_orientation=not adjust))
        assert not list(loader)
        assert f"EXIF orientation is {orientation}: set adjust_orientation={adjust}" in loader.skipped[0].reason


@pytest.mark.parametrize("mode", ["L", "CMYK", "RGBA", "P", "1", "I;16", "progressive", "webp", "bmp"])
def test_other_kinds_of_pictures_become_rgb(tmp_path, mode):
    picture, name = Image.fromarray(smooth_picture(1)), "a.png"
    wanted = np.asarray(picture)
    if mode == "progressive":
        picture.save(tmp_path / (name := "a.jpg"), progressive=True, quality=95)
    elif mode in ("webp", "bmp"):
        picture.save(tmp_path / (name := f"a.{mode}"), **({"lossless": True} if mode == "webp" else {}))
    elif mode == "I;16":
        grey = np.asarray(picture.convert("L"))
        Image.fromarray(grey.astype(np.uint16) * 257).save(tmp_path / name)
        wanted = np.repeat(grey[..., None], 3, -1)
    elif mode == "CMYK":
        picture.convert("CMYK").save(tmp_path / (name := "a.jpg"), quality=95)
    else:
        picture.convert(mode).save(tmp_path / name)
        wanted = np.asarray(picture.convert(mode).convert("RGB"))
    held = ImageSet(people=people([name]), images=tmp_path, role="wild")
    (batch,) = OrderedLoader(held, SUPERVISION, config())
    assert batch.image.shape == (1, 3, *SMALL[::-1])
    expected = pose2pose_crop(wanted, batch.box[0].double().numpy(), SMALL, 1, 0, False, 1)
    lossy = mode in ("CMYK", "progressive")
    assert np.abs(batch.image[0].numpy().transpose(1, 2, 0) * 255 - expected).mean() < (3 if lossy else 1)


def test_tars_give_what_folders_give(tmp_path):
    held = folder(tmp_path / "images", 9)
    paths = []
    for part in range(2):
        paths.append(tmp_path / f"part{part}.tar")
        with tarfile.open(paths[-1], "w") as tar:
            for i, name in enumerate(held.people.image_path):
                if i % 2 == part:
                    tar.add(tmp_path / "images" / name, f"./{name}" if part else name)
    packed = replace(held, images=tuple(paths))
    for a, b in zip(mixed([(held, 4)]).batches(0, 4), mixed([(packed, 4)]).batches(0, 4), strict=True):
        same(a, b)
    (tmp_path / "none.tar").write_bytes(b"no tar at all" * 100)
    with pytest.raises(PgtfastError, match=r"none\.tar: cannot be read as an uncompressed tar"):
        mixed([(replace(held, images=tmp_path / "none.tar"), 4)])


def test_a_picture_of_unknown_size_is_measured(tmp_path):
    held = folder(tmp_path, 2, image_size=np.zeros((2, 2), np.int64))
    (batch,) = OrderedLoader(held, SUPERVISION, config())
    assert batch.size.tolist() == [[96, 80]] * 2


# ---- mixing


def test_a_batch_is_the_same_whatever_threads_prefetch_and_processes(tmp_path):
    sets = [(folder(tmp_path / "a", 7, "a"), 4), (folder(tmp_path / "b", 3, "b"), 2)]
    whole = list(mixed(sets).batches(0, 5))
    for changes in ({"threads": 1}, {"prefetch": 5}, {"prefetch": 1, "threads": 3}):
        for a, b in zip(whole, mixed(sets, config(**changes)).batches(0, 5), strict=True):
            same(a, b)
    parts = [mixed(sets, rank=r, world=3) for r in range(3)]
    for batch, *shares in zip(whole, *(p.batches(0, 5) for p in parts), strict=True):
        for rank, share in enumerate(shares):
            assert len(share) == 2
            same(share, Batch(**{k: None if v is None else v[rank::3] for k, v in vars(batch).items()}))


def test_shares_are_exact_and_an_epoch_shows_everyone(tmp_path):
    sets = [(folder(tmp_path / "a", 8, "a"), 4), (folder(tmp_path / "b", 3, "b"), 3)]
    loader = mixed(sets)
    assert (loader.steps_per_epoch, loader.batch_size) == (2, 7)
    seen = []
    for batch in loader.batches():
        assert batch.set_index.tolist() == [0] * 4 + [1] * 3
        seen += batch.person[:4].tolist()
    assert sorted(seen) == list(range(8))


def test_stopped_and_resumed_is_the_same_sequence(tmp_path):
    sets = [(folder(tmp_path / "a", 7, "a"), 4), (folder(tmp_path / "b", 3, "b"), 2)]
    (tmp_path / "a" / "a_03.jpg").write_bytes(b"")
    whole = list(mixed(sets).batches(0, 8))
    first = mixed(sets)
    for _, batch in zip(range(3), first.batches(0, 8), strict=False):
        last = batch
    same(last, whole[2])
    state = first.state_dict()
    assert state["step"] == 3
    again = mixed(sets)
    again.load_state_dict(state)
    assert again.skipped == first.skipped
    for a, b in zip(again.batches(last_step=8), whole[3:], strict=True):
        same(a, b)
    with pytest.raises(PgtfastError, match="seed: the state was saved with 4, this loader has 5"):
        mixed(sets, config(seed=5)).load_state_dict(state)
    with pytest.raises(PgtfastError, match="sizes: the state was saved with"):
        mixed(sets[:1]).load_state_dict(state)


def test_images_outlive_the_batches_after_them(tmp_path):
    held = folder(tmp_path, 6)
    kept = list(mixed([(held, 3)]).batches(0, 12))
    copies = [b.image.clone() for b in mixed([(held, 3)]).batches(0, 12)]
    for batch, copy in zip(kept, copies, strict=True):
        torch.testing.assert_close(batch.image, copy, rtol=0, atol=0)


def test_occlusion_and_blur(tmp_path):
    held = folder(tmp_path, 4)
    plain = next(mixed([(held, 4)], config(augment=NONE)).batches(0, 1))
    hidden = next(mixed([(held, 4)], config(augment=replace(NONE, occlusion_p=1))).batches(0, 1))
    grey = (hidden.image * 255).round() == torch.tensor([124.0, 116, 104])[None, :, None, None]
    share = grey.all(1).float().mean((1, 2))
    assert (share > 0.02).all()
    assert (share < 0.25).all()
    outside = ~grey.all(1)[:, None].expand_as(plain.image)
    torch.testing.assert_close(hidden.image[outside], plain.image[outside])
    sharp = next(mixed([(held, 4)], config(augment=replace(NONE, blur_p=1e-9))).batches(0, 1))
    torch.testing.assert_close(sharp.image, plain.image)
    blurred = next(mixed([(held, 4)], config(augment=replace(NONE, blur_p=1))).batches(0, 1))
    assert (blurred.image[..., 1:] - blurred.image[..., :-1]).abs().mean() < 0.98 * (
        plain.image[..., 1:] - plain.image[..., :-1]
    ).abs().mean()


# ---- in order


def test_ordered_goes_once_through(tmp_path):
    held = folder(tmp_path, 7)
    (tmp_path / "made_02.jpg").write_bytes(b"")
    flipped = damaged(b"\0" * 200, encoded(smooth_picture(5), "PNG"))["decode"]
    (tmp_path / "made_04.jpg").write_bytes(flipped)
    loader = OrderedLoader(held, SUPERVISION, config(), batch_size=3)
    for _ in range(2):
        assert [b.person.tolist() for b in loader] == [[0, 1], [3, 5], [6]]
    assert len(loader) == 3
    assert [s.annotation_id for s in loader.skipped] == [102, 104]
    chosen = OrderedLoader(held, None, config(), rows=np.array([6, 2, 0]), batch_size=2)
    batches = list(chosen)
    assert [b.person.tolist() for b in batches] == [[6], [0]]
    assert batches[0].rotation.tolist() == [0]
    assert not batches[0].flip.any()


# ---- errors before the first batch


def test_early_errors(tmp_path):
    held = folder(tmp_path / "images", 3)
    with pytest.raises(PgtfastError, match="no such image folder"):
        mixed([(replace(held, images=tmp_path / "elsewhere"), 2)])
    (tmp_path / "empty").mkdir()
    with pytest.raises(
        PgtfastError, match=r"made: none of 3 images looked for is in .*empty, for example made_00\.jpg"
    ):
        mixed([(replace(held, images=tmp_path / "empty"), 2)])
    unusable = replace(held.people, reason=np.full(3, "crowd: so it says", dtype=object))
    with pytest.raises(PgtfastError, match="made: none of its 3 people can be used; the first reason is 'crowd"):
        mixed([(replace(held, people=unusable), 2)])
    unknown = replace(held.people, landmark_set="mystery")
    with pytest.raises(PgtfastError, match="'mystery' is not known"):
        mixed([(replace(held, people=unknown), 2)])
    with pytest.raises(PgtfastError, match="streams: wanted at least one"):
        MixedLoader([], SUPERVISION, config(), body_kind="free")
    with pytest.raises(PgtfastError, match="cuda"):
        mixed([(held, 2)], config(device="cuda" if not torch.cuda.is_available() else "cuda:99x"))


@pytest.mark.parametrize(
    "changes", [{"threads": 0}, {"prefetch": 0}, {"crop_size": (0, 5)}, {"normalize": "x"}, {"device": "tpu"}]
)
def test_a_wrong_setting_is_named(changes):
    with pytest.raises(PgtfastError, match=f"LoaderConfig: {next(iter(changes))}: wanted"):
        LoaderConfig(**changes)
