"""The rival of `benchmarks.annotate`: what one writes by hand, a PyTorch DataLoader with OpenCV and plain PyTorch."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import ConcatDataset, DataLoader, Dataset

from pgtfast import reference
from pgtfast._options import needing
from pgtfast.images.crops import crop_boxes, crop_matrices, person_boxes
from pgtfast.images.pipeline import MEAN, STD
from pgtfast.networks import NetworkConfig, Prediction
from pgtfast.networks.bodies import reach, virtual_camera
from pgtfast.networks.files import load_annotator
from pgtfast.people import People
from pgtfast.priors import limit_violation


class _Crops(Dataset):
    """A crop a person: read, decoded and cut with OpenCV, one picture at a time."""

    def __init__(self, people: People, images: Path, config: NetworkConfig) -> None:
        with needing("bench", "bench annotate"):
            import cv2  # noqa: F401
        size = people.image_size
        boxes = crop_boxes(person_boxes(people.bbox, people.keypoints), size, config.input_size)
        count = len(people)
        self.matrix = crop_matrices(
            boxes, size[:, 0], config.input_size, scale=np.ones(count), rotation=np.zeros(count),
            flip=np.zeros(count, bool)
        )  # fmt: skip
        self.people, self.images, self.crop = people, images, config.input_size
        self.mean = np.array(MEAN[config.normalize], np.float32)
        self.std = np.array(STD[config.normalize], np.float32)

    def __len__(self) -> int:
        return len(self.people)

    def __getitem__(self, at: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, int]:
        import cv2

        cv2.setNumThreads(0)
        name = self.people.image_path[at]
        picture = cv2.imread(str(self.images / name), cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
        if picture is None:
            raise FileNotFoundError(name)
        crop = cv2.cvtColor(cv2.warpAffine(picture, self.matrix[at], self.crop), cv2.COLOR_BGR2RGB)
        image = (crop.astype(np.float32) / 255 - self.mean) / self.std
        points = self.people.keypoints[at].astype(np.float32)
        return (
            image.transpose(2, 0, 1).copy(),
            self.matrix[at].astype(np.float32),
            points,
            int(self.people.annotation_id[at]),
        )


class Plain:
    """Annotates people when called.

    Args:
        people: parts of them, with boxes, image sizes and keypoints.
        images: folder of their pictures.
        checkpoint: of the annotator.
        prior: of the latents.
        measured: the body's landmarks that the keypoints are compared with; they come without a mesh, which spares this
            rival most of a body's work.
        out: NeuralAnnot's JSON and the scores, to write.
        batch: people at once.
        workers: processes that read and cut.
        device: of the network.
    """

    def __init__(
        self, people: list[People], images: Path, checkpoint: Path, prior: Any, measured: Any, out: Path, *,
        batch: int, workers: int, device: torch.device
    ) -> None:  # fmt: skip
        loaded = load_annotator(checkpoint)
        self.network, self.config = loaded.network.to(device).eval(), loaded.config
        self.prior, self.measured, self.out, self.device = prior, measured, out, device
        self.loader: DataLoader = DataLoader(
            ConcatDataset([_Crops(part, images, self.config) for part in people]), batch_size=batch,
            num_workers=workers, persistent_workers=True,
            # forked ones would make this process copy its own pages as it writes to them
            multiprocessing_context="spawn",
            pin_memory=device.type == "cuda",
        )  # fmt: skip

    @torch.no_grad()
    def __call__(self) -> int:
        content: dict[str, Any] = {}
        for image, matrix, keypoints, number in self.loader:
            image, matrix, keypoints = (v.to(self.device, non_blocking=True) for v in (image, matrix, keypoints))
            content |= self._bodies(self.network(image), matrix, keypoints, number)
        self.out.write_text(json.dumps(content))
        return len(content)

    def _bodies(self, found: Prediction, matrix: Tensor, keypoints: Tensor, number: Tensor) -> dict[str, Any]:
        count = len(matrix)
        root = reference.rot6d_to_matrix(found.root_6d)[:, None]
        if self.prior is None:
            body = reference.rot6d_to_matrix(found.pose.view(count, -1, 6))
            energy = torch.full((count,), math.nan)
        else:
            body = reference.vposer_decode(found.pose, self.prior.terms)
            energy = found.pose.square().mean(1)
        hands = torch.eye(3, device=matrix.device).expand(count, 2, 3, 3)
        rotations = torch.cat((root, body, hands), 1)
        transl = torch.cat((found.camera[:, :2], reach(self.config) * found.camera[:, 2:].sigmoid()), 1)
        pose = reference.matrix_to_rotvec(rotations)
        focal, center = (matrix.new_tensor(pair) for pair in virtual_camera(self.config))
        zoom = torch.diagonal(matrix[:, :, :2], dim1=1, dim2=2)
        focal, center = focal / zoom, (center - matrix[:, :, 2]) / zoom
        points = reference.landmarks(rotations, found.betas, transl, self.measured.plan.terms)
        seen = reference.project(points, focal, center)
        error = (seen[:, self.measured.rows] - keypoints[:, self.measured.source, :2]).norm(dim=-1)
        used = keypoints[:, self.measured.source, 2] > 0
        pixels = (error * used).sum(1) / used.sum(1)
        limits = limit_violation(pose[:, 1:]).sum(-1)
        columns = (number, pose.flatten(1), found.betas, transl, focal, center, pixels, energy, limits)
        lists: list[list] = [values.tolist() for values in columns]
        return {
            str(key): {
                "smpl_param": {"pose": a, "shape": b, "trans": c}, "cam_param": {"focal": d, "princpt": e},
                "reprojection_px": f, "prior_energy": g, "limit_violation": h,
            }
            for key, a, b, c, d, e, f, g, h in zip(*lists, strict=True)
        }  # fmt: skip
