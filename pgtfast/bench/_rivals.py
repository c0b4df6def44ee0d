"""The other packages, each used as its own documentation says, in its fastest public way for the task. Imported only
when asked for."""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ._body import JOINTS
from ._contestants import Call, Contestant, TorchContestant
from ._tasks import Inputs


@contextlib.contextmanager
def quiet():
    """Without what a package prints or warns while it loads."""
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


class Smplx(TorchContestant):
    """smplx: the field's reference. It always computes the mesh."""

    name = family = "smplx"

    def __init__(self, folder: Path, regressor: np.ndarray) -> None:
        super().__init__(folder, regressor)
        import smplx

        with quiet():
            self.model = smplx.create(str(folder), model_type="smpl", gender="neutral", batch_size=1)
        self.model.requires_grad_(False)

    def both(self, pose: Tensor, betas: Tensor, transl: Tensor) -> tuple[Tensor, Tensor]:
        out = self.model(betas=betas, global_orient=pose[:, :3], body_pose=pose[:, 3:], transl=transl)
        return out.vertices, out.joints[:, :JOINTS]

    def vertices(self, pose: Tensor, betas: Tensor, transl: Tensor) -> Tensor:
        return self.both(pose, betas, transl)[0]

    def joints(self, pose: Tensor, betas: Tensor, transl: Tensor) -> Tensor:
        return self.both(pose, betas, transl)[1]


class SmplxCompiled(Smplx):
    name = "smplx (compiled)"
    compiled = True


class BodyModels(TorchContestant):
    """body-models: skeleton and point calls without a mesh."""

    name = family = "body-models"

    def __init__(self, folder: Path, regressor: np.ndarray) -> None:
        super().__init__(folder, regressor)
        from body_models.smpl.torch import SMPL

        with quiet():
            self.model = SMPL(model_path=str(folder / "SMPL_NEUTRAL.npz"), kernel_backend="torch")
            self.points = self.model.prepare_point_regressor(regressor.astype(np.float32))

    def _pose(self, pose: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        return pose[:, 3:].reshape(-1, JOINTS - 1, 3), {"pelvis_rotation": pose[:, :3]}

    def both(self, pose: Tensor, betas: Tensor, transl: Tensor) -> tuple[Tensor, Tensor]:
        body, more = self._pose(pose)
        more.update(identity=self.model.prepare_identity(betas), global_translation=transl)
        return self.model.forward_vertices(body, **more), self.model.forward_skeleton(body, **more)[..., :3, 3]

    def vertices(self, pose: Tensor, betas: Tensor, transl: Tensor) -> Tensor:
        body, more = self._pose(pose)
        return self.model.forward_vertices(body, shape=betas, global_translation=transl, **more)

    def joints(self, pose: Tensor, betas: Tensor, transl: Tensor) -> Tensor:
        body, more = self._pose(pose)
        return self.model.forward_skeleton(body, shape=betas, global_translation=transl, **more)[..., :3, 3]

    def landmarks(self, pose: Tensor, betas: Tensor, transl: Tensor) -> Tensor:
        body, more = self._pose(pose)
        return self.model.forward_points(
            body, shape=betas, global_translation=transl, point_regressor=self.points, **more
        )


class BodyModelsCompiled(BodyModels):
    name = "body-models (compiled)"
    compiled = True


class SmplFitter(TorchContestant):
    """smplfitter: kinematic joints without a mesh."""

    name = family = "smplfitter"

    def __init__(self, folder: Path, regressor: np.ndarray) -> None:
        super().__init__(folder, regressor)
        from smplfitter.pt import BodyModel

        with quiet():
            self.model = BodyModel("smpl", "neutral", model_root=str(folder / "smpl"), num_betas=10)

    def both(self, pose: Tensor, betas: Tensor, transl: Tensor) -> tuple[Tensor, Tensor]:
        out = self.model(pose_rotvecs=pose, shape_betas=betas, trans=transl)
        return out["vertices"], out["joints"]

    def vertices(self, pose: Tensor, betas: Tensor, transl: Tensor) -> Tensor:
        return self.both(pose, betas, transl)[0]

    def joints(self, pose: Tensor, betas: Tensor, transl: Tensor) -> Tensor:
        return self.model(pose_rotvecs=pose, shape_betas=betas, trans=transl, return_vertices=False)["joints"]


class JaxContestant(Contestant):
    """A package on JAX, under `jax.jit` and `jax.value_and_grad`."""

    def points(self, what: str) -> Callable[..., Any]:
        raise NotImplementedError

    def task(self, name: str, inputs: Inputs) -> Call:
        import jax
        import jax.numpy as jnp

        arguments = [jnp.asarray(x) for x in (inputs.pose, inputs.betas, inputs.transl)]
        mode, what = name.split("_")
        points = self.points(what)
        if mode == "fwd":
            forward = jax.jit(points)

            def run_forward() -> dict[str, Any]:
                out = jax.block_until_ready(forward(*arguments))
                return {"v": out[0], "j": out[1]} if what == "vj" else {what: out}

            return run_forward

        target = jnp.asarray(inputs.targets[what])
        both = jax.jit(jax.value_and_grad(lambda *a: 0.5 * ((points(*a) - target) ** 2).sum(), argnums=(0, 1, 2)))

        def run_both() -> dict[str, Any]:
            loss, (gp, gb, gt) = jax.block_until_ready(both(*arguments))
            return {"loss": loss, "gp": gp, "gb": gb, "gt": gt}

        return run_both


class BodyModelsJax(JaxContestant):
    name, family = "body-models (jax)", "body-models"

    def __init__(self, folder: Path, regressor: np.ndarray) -> None:
        super().__init__(folder, regressor)
        from body_models.smpl.jax import SMPL

        with quiet():
            self.model = SMPL(model_path=str(folder / "SMPL_NEUTRAL.npz"))
            self.regressed = self.model.prepare_point_regressor(regressor.astype(np.float32))

    def points(self, what: str) -> Callable[..., Any]:
        model = self.model

        def call(pose, betas, transl):
            body, more = (
                pose[:, 3:].reshape(-1, JOINTS - 1, 3),
                {"pelvis_rotation": pose[:, :3], "global_translation": transl},
            )
            if what == "r":
                return model.forward_points(body, shape=betas, point_regressor=self.regressed, **more)
            if what == "j":
                return model.forward_skeleton(body, shape=betas, **more)[..., :3, 3]
            if what == "v":
                return model.forward_vertices(body, shape=betas, **more)
            more["identity"] = model.prepare_identity(betas)
            return model.forward_vertices(body, **more), model.forward_skeleton(body, **more)[..., :3, 3]

        return call


class SmplFitterJax(JaxContestant):
    name, family = "smplfitter (jax)", "smplfitter"

    def __init__(self, folder: Path, regressor: np.ndarray) -> None:
        super().__init__(folder, regressor)
        from smplfitter.jax import BodyModel

        with quiet():
            self.model = BodyModel("smpl", "neutral", model_root=str(folder / "smpl"), num_betas=10)

    def points(self, what: str) -> Callable[..., Any]:
        import jax.numpy as jnp

        regressor = jnp.asarray(self.regressor.astype(np.float32))

        def call(pose, betas, transl):
            if what == "j":
                return self.model(pose_rotvecs=pose, shape_betas=betas, trans=transl, return_vertices=False)["joints"]
            out = self.model(pose_rotvecs=pose, shape_betas=betas, trans=transl)
            if what == "r":
                return jnp.einsum("kv,bvi->bki", regressor, out["vertices"])
            return (out["vertices"], out["joints"]) if what == "vj" else out["vertices"]

        return call


RIVALS: tuple[type[Contestant], ...] = (
    Smplx, SmplxCompiled, BodyModels, BodyModelsCompiled, BodyModelsJax, SmplFitter, SmplFitterJax,
)  # fmt: skip


def allow_recompiling() -> None:
    """Let torch.compile keep a version for each task and batch of one run."""
    import logging

    torch._dynamo.config.recompile_limit = 256
    logging.getLogger("torch._dynamo").setLevel(logging.ERROR)
