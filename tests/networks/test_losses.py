"""The losses of the annotation network against Pose2Pose's formulas, written out person by person."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

import pgtfast
from pgtfast import ops, reference
from pgtfast._errors import PgtfastError
from pgtfast.loading import Supervision
from pgtfast.loading.targets import crop_targets
from pgtfast.networks import Annotator, BodyLoss, LossUnits, LossWeights, NetworkConfig, Prediction, place
from pgtfast.networks.annotator import loss_units
from tests.helpers.crops import make_scene

ONE = Supervision(("p2p25",))
THREE = Supervision(("p2p25", "h36m17", "coco17"))
CROP = (192, 256)
STRIDE = 32
SETS = ("p2p25", "h36m17", "coco17", "p2p25", "h36m17", "coco17")
WILD = torch.tensor([False, False, True, False, False, True])
MODES = ("faithful", "improved")
TERMS = {"joint_img", "smpl_joint_img", "smpl_pose", "smpl_shape", "joint_proj", "joint_cam", "smpl_joint_cam",
         "latent", "betas"}  # fmt: skip
DATA = TERMS - {"latent", "betas"}
FOCAL = 5000.0
CENTER = {"faithful": (96.0, 128.0), "improved": (95.5, 127.5)}


@pytest.fixture(scope="module")
def body():
    return pgtfast.load_body("free")


def network(mode, **changes):
    return NetworkConfig(mode=mode, depth=18, width=8, **changes)


def made(body, supervision=THREE, sets=SETS, wild=WILD, mode="improved"):
    """A batch of people seen by the virtual camera; those in the wild have 2D keypoints alone."""
    batch = make_scene(body, supervision, sets, axis_through_crop=True, far=True, center=CENTER[mode]).batch
    tame = ~wild
    batch = replace(
        batch,
        joints_3d=batch.joints_3d * tame[:, None, None],
        pose=batch.pose * tame[:, None, None],
        betas=batch.betas * tame[:, None],
        has_pose=tame,
        has_betas=tame,
        transl=batch.transl * tame[:, None],
    )
    return batch, crop_targets(batch, supervision, CROP)


@pytest.fixture(scope="module")
def prior():
    return pgtfast.load_vposer("free")


def guess(count, mode, prior, seed=1):
    """An output of the network far from every truth, whose numbers want gradients, and its bodies."""
    rng = torch.Generator().manual_seed(seed)
    middle = {
        "position": torch.tensor([3.0, 4.0, 4.0]).expand(25, 3),
        "root_6d": torch.tensor([1.0, 0, 0, -1, 0, 0]),
        "pose": torch.zeros(32),
        "betas": torch.zeros(10),
        "camera": torch.tensor([0.0, 0.0, 0.8]),
    }
    scale = {"position": 1.0, "root_6d": 0.3, "pose": 0.7, "betas": 1.0, "camera": 0.2}
    draws = {k: v + scale[k] * torch.randn(count, *v.shape, generator=rng) for k, v in middle.items()}
    prediction = Prediction(**{k: v.requires_grad_() for k, v in draws.items()})
    return prediction, place(prediction, network(mode), prior)


def targets_of(batch, targets, plan, supervision, config):
    return BodyLoss(plan, supervision, loss_units(config)).targets(batch, targets)


def loss_of(prediction, bodies, batch, targets, plan, supervision, config, weights=None, prepared=None):
    loss = BodyLoss(plan, supervision, loss_units(config), weights)
    return loss(prediction, bodies, prepared or loss.targets(batch, targets))


def by_hand(prediction, bodies, batch, targets, supervision, body, mode):
    """Every term, person by person and joint by joint, in float64; and what it was divided by."""
    improved = mode == "improved"
    shift = 0.5 if improved else 0.0
    plan = supervision.plan(body).to(dtype=torch.float64)

    def points(rotations, betas):
        return reference.landmarks(rotations.detach().double(), betas.detach().double(), None, plan.terms).numpy()

    got, wanted = points(bodies.rotations, bodies.betas), points(targets.rotations, targets.betas)
    first = len(pgtfast.skeletons.get(supervision.sets[0]))
    order = supervision.flip_permutation
    people = len(batch)
    sums, valid = dict.fromkeys(TERMS, 0.0), dict.fromkeys(TERMS, 0)
    number = lambda value: value.detach().double().numpy()  # noqa: E731

    def add(name, difference, weight=1.0):
        if weight > 0:
            sums[name] += weight * abs(difference)
            valid[name] += 1

    def holds(x, y, z):
        return 0 <= x < 6 and 0 <= y < 8 and 0 <= z < 8

    original = points(ops.rotvec_to_matrix(batch.pose), batch.betas)
    for i in range(people):
        cells = (number(targets.keypoints[i]) + shift) / STRIDE
        weight, weight_3d = number(targets.weights[i]), number(targets.joints_3d_weights[i])
        joints = number(targets.joints_3d[i])
        z = (joints[:, 2] + 1) / 2 * 8
        smpl = bool(batch.has_pose[i] and batch.has_betas[i])
        fx, fy, cx, cy = number(batch.intrinsics[i])
        base = supervision.base_root
        for joint in range(25):
            row = int(batch.position_row[i, joint])
            at = number(prediction.position[i, joint])
            if row >= 0 and weight[row] > 0 and holds(*cells[row], z[row] if weight_3d[row] else 4):
                add("joint_img", at[0] - cells[row, 0], weight[row])
                add("joint_img", at[1] - cells[row, 1], weight[row])
                add("joint_img", at[2] - z[row], weight_3d[row])
            if smpl:
                row = supervision.base_position[joint]
                x, y, depth = original[i, order[row] if batch.flip[i] else row] + number(batch.transl[i])
                pixel = np.array([fx * x / depth + cx, fy * y / depth + cy, 1.0])
                u, v = (number(batch.matrix[i]) @ pixel + shift) / STRIDE
                d = (wanted[i, row, 2] - wanted[i, base, 2] + 1) / 2 * 8
                if holds(u, v, d):
                    for a, b in zip(at, (u, v, d), strict=True):
                        add("smpl_joint_img", a - b)
        if batch.has_pose[i]:
            if improved:
                for difference in number(bodies.rotations[i] - targets.rotations[i]).ravel():
                    add("smpl_pose", difference)
            else:
                a, b = (
                    Rotation.from_matrix(number(m)).as_rotvec() for m in (bodies.rotations[i], targets.rotations[i])
                )
                for difference in (a - b).ravel():
                    add("smpl_pose", difference)
        if batch.has_betas[i]:
            for difference in number(bodies.betas[i] - targets.betas[i]):
                add("smpl_shape", difference)
        placed = got[i] + number(bodies.transl[i]) + np.array([0, 0, 0 if improved else 1e-4])
        for row in range(len(supervision)):
            if weight[row] > 0 and (improved or holds(*cells[row], z[row] if weight_3d[row] else 4)):
                for axis in (0, 1):
                    pixel = FOCAL * placed[row, axis] / placed[row, 2] + CENTER[mode][axis]
                    add("joint_proj", (pixel + shift) / STRIDE - cells[row, axis], weight[row])
            for axis in range(3):
                if weight_3d[row] > 0:
                    own = int(batch.root[i])
                    add("joint_cam", got[i, row, axis] - got[i, own, axis] - joints[row, axis])
                if smpl and row < first:
                    add(
                        "smpl_joint_cam",
                        got[i, row, axis] - got[i, base, axis] - wanted[i, row, axis] + wanted[i, base, axis],
                    )
        sums["latent"] += (number(bodies.latent[i]) ** 2).mean()
        sums["betas"] += (number(bodies.betas[i]) ** 2).mean()
    every = {"joint_img": 75, "smpl_joint_img": 75, "smpl_pose": 72, "smpl_shape": 10, "joint_proj": 2 * first,
             "joint_cam": 3 * first, "smpl_joint_cam": 3 * first}  # fmt: skip
    counts = {name: valid[name] if improved else people * n for name, n in every.items()} | {
        "latent": people,
        "betas": people,
    }
    return {name: sums[name] / max(1, counts[name]) for name in TERMS}, counts


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("supervision", [ONE, THREE], ids=("one", "three"))
def test_terms_are_pose2poses(body, prior, supervision, mode):
    batch, targets = made(body, supervision)
    # some joints outside the crop, some half sure, and a person of another gender
    targets = targets._replace(
        keypoints=targets.keypoints + 60 * torch.randn(len(batch), 1, 2, generator=torch.Generator().manual_seed(3)),
        weights=targets.weights * torch.tensor([1, 0.5])[torch.arange(len(supervision)) % 2],
        has_betas=targets.has_betas & (torch.arange(len(batch)) != 3),
    )
    batch = replace(batch, has_betas=targets.has_betas)
    prediction, bodies = guess(len(batch), mode, prior)
    wanted, counts = by_hand(prediction, bodies, batch, targets, supervision, body, mode)
    plan = supervision.plan(body)
    ones = LossWeights(latent=1, betas=1)
    got = loss_of(prediction, bodies, batch, targets, plan, supervision, network(mode), ones)
    assert set(got) == TERMS | {"total"}
    for name in TERMS:
        assert got[name].item() == pytest.approx(wanted[name], rel=1e-5, abs=1e-6), name
        assert wanted[name] > 0, name
    assert got["total"].item() == pytest.approx(sum(wanted.values()), rel=1e-5)
    made_counts = targets_of(batch, targets, plan, supervision, network(mode)).counts
    assert {name: value.item() for name, value in made_counts.items()} == counts


@pytest.mark.parametrize("mode", MODES)
def test_parts_of_a_step_add_up(body, prior, mode):
    batch, targets = made(body)
    prediction, bodies = guess(len(batch), mode, prior)
    plan, config = THREE.plan(body), network(mode)
    whole = loss_of(prediction, bodies, batch, targets, plan, THREE, config)
    known = targets_of(batch, targets, plan, THREE, config)
    total = 0
    for part in (slice(0, 2), slice(2, 3), slice(3, 6)):
        predicted = Prediction(*(value[part] for value in prediction))
        inputs = (batch.rows(part), targets.rows(part), plan, THREE, config)
        terms = loss_of(predicted, place(predicted, config, prior), *inputs, prepared=known.rows(part))
        assert terms["total"].item() == pytest.approx(sum(terms[k].item() for k in TERMS))
        total = total + terms["total"]
    torch.testing.assert_close(total, whole["total"])


@pytest.mark.parametrize("mode", MODES)
def test_the_truth_has_no_loss(body, mode):
    batch, targets = made(body, wild=torch.zeros(6, dtype=torch.bool), mode=mode)
    plan, config = THREE.plan(body), network(mode, head="rotations")
    known = targets_of(batch, targets, plan, THREE, config)
    own = torch.tensor([name == "p2p25" for name in SETS])
    both = (known.positions.joint_img_weights > 0) & (known.positions.smpl_joint_img_weights > 0) & own[:, None, None]
    assert both.sum() > 120
    torch.testing.assert_close(known.positions.joint_img[both], known.positions.smpl_joint_img[both], atol=1e-4, rtol=0)
    # the network's numbers that place() makes the truth of; the pelvis lies on the camera's axis
    points = ops.landmarks(targets.rotations, targets.betas, None, plan.terms)[:, THREE.base_root]
    pelvis = batch.transl + ops.landmarks(batch.pose, batch.betas, None, plan.terms)[:, THREE.base_root]
    transl = pelvis * torch.tensor([0.0, 0.0, 1.0]) - points
    reach = FOCAL * 2.5 / (CROP[0] * CROP[1]) ** 0.5
    columns = targets.rotations[..., :2].flatten(2)
    prediction = Prediction(
        position=known.positions.smpl_joint_img, root_6d=columns[:, 0], pose=columns[:, 1:22].flatten(1),
        betas=targets.betas,
        camera=torch.cat((transl[:, :2], (transl[:, 2:] / reach).logit()), 1),
    )  # fmt: skip
    # a joint of another set lies elsewhere than the base set's, and one position cannot be both
    batch = replace(batch, position_row=torch.where(own[:, None], batch.position_row, -1))
    terms = loss_of(prediction, place(prediction, config, None), batch, targets, plan, THREE, config)
    assert "latent" not in terms
    for name in DATA:
        assert terms[name].item() < 1e-4, name


@pytest.mark.parametrize("mode", MODES)
def test_pictures_in_the_wild_teach_2d_alone(body, prior, mode):
    batch, targets = made(body, sets=("coco17",) * 3, wild=torch.ones(3, dtype=torch.bool))
    prediction, bodies = guess(3, mode, prior)
    terms = loss_of(prediction, bodies, batch, targets, THREE.plan(body), THREE, network(mode))
    for name in ("smpl_joint_img", "smpl_pose", "smpl_shape", "joint_cam", "smpl_joint_cam"):
        assert terms[name].item() == 0, name
    for name in ("joint_img", "joint_proj", "latent", "betas"):
        assert terms[name].item() > 0, name
    depth = torch.autograd.grad(terms["total"], prediction.position)[0][..., 2]
    assert not depth.any()


@pytest.mark.parametrize("mode", MODES)
def test_gradients_reach_every_output(body, prior, mode):
    batch, targets = made(body)
    prediction, bodies = guess(len(batch), mode, prior)
    loss_of(prediction, bodies, batch, targets, THREE.plan(body), THREE, network(mode))["total"].backward()
    for name, value in prediction._asdict().items():
        assert value.grad.isfinite().all(), name
        assert (value.grad != 0).flatten(1).any(1).all(), name


@pytest.mark.parametrize("mode", MODES)
def test_gradient_is_the_slope(body, prior, mode):
    batch, targets = made(body)
    inputs = (batch, targets, THREE.plan(body), THREE, network(mode))

    def total(prediction):
        return loss_of(prediction, place(prediction, network(mode), prior), *inputs)["total"]

    here, _ = guess(len(batch), mode, prior)
    grads = torch.autograd.grad(total(here), tuple(here))
    step = 5e-4
    ahead, behind = (
        total(Prediction(*(v.detach() + sign * step * g / g.norm() for v, g in zip(here, grads, strict=True)))).item()
        for sign in (1, -1)
    )
    assert (ahead - behind) / (2 * step) == pytest.approx(sum(g.norm().item() for g in grads), rel=0.05)


@pytest.mark.parametrize("mode", MODES)
def test_nothing_annotated_is_no_reason_for_nan(body, prior, mode):
    batch, targets = made(body, wild=torch.ones(6, dtype=torch.bool))
    batch = replace(
        batch,
        keypoints=torch.zeros_like(batch.keypoints),
        root=torch.full((6,), -1),
        position_row=torch.full((6, 25), -1),
    )
    targets = crop_targets(batch, THREE, CROP)
    prediction, bodies = guess(6, mode, prior)
    terms = loss_of(prediction, bodies, batch, targets, THREE.plan(body), THREE, network(mode))
    assert all(terms[name].item() == 0 for name in DATA)
    terms["total"].backward()
    assert all(value.grad is None or value.grad.isfinite().all() for value in prediction)


def test_without_a_camera_body_parameters_teach_the_depth_of_joints(body):
    batch, targets = made(body)
    batch = replace(batch, transl=None, intrinsics=None)
    known = targets_of(batch, targets, THREE.plan(body), THREE, network("improved"))
    assert not known.positions.smpl_joint_img_weights[..., :2].any()
    assert (known.positions.smpl_joint_img_weights[~WILD][..., 2] == 1).all()
    assert not known.positions.smpl_joint_img_weights[WILD].any()


def test_cells_of_both_modes(body):
    batch, targets = made(body)
    rows = torch.tensor([[-0.5, -0.5], [191.5, 255.5], [95.5, 127.5]]).expand(6, 3, 2)
    targets = targets._replace(keypoints=torch.cat((rows, targets.keypoints[:, 3:]), 1))
    plan = THREE.plan(body)
    improved = targets_of(batch, targets, plan, THREE, network("improved")).keypoints[0, :3]
    faithful = targets_of(batch, targets, plan, THREE, network("faithful")).keypoints[0, :3]
    torch.testing.assert_close(improved, torch.tensor([[0.0, 0.0], [6.0, 8.0], [3.0, 4.0]]))
    torch.testing.assert_close(faithful, improved - 0.5 / 32)


def test_weights_scale_terms_and_are_checked(body, prior):
    batch, targets = made(body)
    prediction, bodies = guess(len(batch), "improved", prior)
    inputs = (prediction, bodies, batch, targets, THREE.plan(body), THREE, network("improved"))
    plain = loss_of(*inputs)
    scaled = loss_of(*inputs, LossWeights(joint_proj=3.0, betas=0.0))
    assert scaled["joint_proj"].item() == pytest.approx(3 * plain["joint_proj"].item())
    assert scaled["betas"].item() == 0
    assert scaled["total"].item() == pytest.approx(sum(v.item() for k, v in scaled.items() if k != "total"))
    with pytest.raises(PgtfastError, match="joint_cam"):
        LossWeights(joint_cam=-1.0)


def test_the_surroundings_precision_does_not_matter(body, prior):
    batch, targets = made(body)
    prediction, bodies = guess(len(batch), "improved", prior)
    inputs = (batch, targets, THREE.plan(body), THREE, network("improved"))
    plain = loss_of(prediction, bodies, *inputs)
    with torch.autocast("cpu", torch.bfloat16):
        inside = loss_of(prediction, bodies, *inputs)
        half = loss_of(prediction._replace(position=prediction.position.bfloat16()), bodies, *inputs)
    assert all(torch.equal(plain[name], inside[name]) for name in plain)
    assert half["total"].dtype == torch.float32


def test_every_layer_of_the_network_learns(body, prior):
    torch.manual_seed(0)
    config = network("improved")
    batch, targets = made(body)
    model = Annotator(config)
    prediction = model(torch.rand(len(batch), 3, CROP[1], CROP[0]))
    placed = place(prediction, config, prior)
    loss_of(prediction, placed, batch, targets, THREE.plan(body), THREE, config)["total"].backward()
    for name, value in model.named_parameters():
        assert value.grad is not None, name
        assert value.grad.isfinite().all(), name
        assert value.grad.any(), name


def test_bodies_alone_have_the_same_terms_without_those_of_heatmaps(body, prior):
    batch, targets = made(body)
    prediction, bodies = guess(len(batch), "improved", prior)
    plan = THREE.plan(body)
    whole = loss_of(prediction, bodies, batch, targets, plan, THREE, network("improved"))
    loss = BodyLoss(plan, THREE, LossUnits(stride=STRIDE))
    terms = loss(None, bodies, loss.targets(batch, targets))
    assert whole.keys() - terms.keys() == {"joint_img", "smpl_joint_img"}
    assert all(torch.equal(terms[name], whole[name]) for name in terms.keys() - {"total"})
