"""What an installed wheel must do where there is nothing but torch and NumPy: find its kernels and its assets, and give
a gradient."""

from __future__ import annotations

import torch

import pgtfast
from pgtfast.ops.build import build_info

body = pgtfast.load_body("free")
pose = torch.zeros(2, 72, requires_grad=True)
joints = body.landmarks("coco17")(
    global_orient=pose[:, :3], body_pose=pose[:, 3:], betas=torch.zeros(2, body.num_betas), transl=torch.zeros(2, 3)
)
joints.square().sum().backward()
prior = pgtfast.load_vposer("free")
if pose.grad is None or not pose.grad.any() or prior.decode(torch.zeros(1, 32)).shape != (1, 21, 3, 3):
    raise SystemExit("the installed wheel computes nothing")
print(f"pgtfast {pgtfast.__version__} at {pgtfast.__path__[0]}, torch {torch.__version__}: {build_info()}")
