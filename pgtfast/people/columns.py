"""The columns of the store, declared once: name, type, unit, and who has them."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa

from .layout import LAYOUTS, PARAMETERS

VERSION = 2
"""Of the schema. Version 1 held SMPL's parameters alone; a file of it names no version."""
VERSION_KEY = b"pgtfast_schema"
NO_MODEL = "none"
_LATENTS = 32


@dataclass(frozen=True, kw_only=True)
class Column:
    """One column of the store."""

    name: str
    type: pa.DataType
    doc: str
    unit: str = ""
    required: bool = False
    """Every row has a value."""
    optional: bool = False
    """A file in which nobody has a value may lack it."""
    score: bool = False
    """One of `People.scores`."""
    body: bool = False
    """Known only of people with a body."""


def _vector(size: int | None = None) -> pa.DataType:
    """Lists of `size` float32 numbers; None for lists whose length the body model decides."""
    return pa.list_(pa.float32()) if size is None else pa.list_(pa.float32(), size)


def _column(name: str, kind: pa.DataType, doc: str, unit: str = "", **others: bool) -> Column:
    return Column(name=name, type=kind, doc=doc, unit=unit, **others)


COEFFICIENTS = {
    "betas": "Shape coefficients, zero-padded to the model's usual number.",
    "expression": "Coefficients of the face.",
}


def _parameter(name: str) -> Column:
    """A parameter of body models; those that SMPL lacks are optional."""
    widths = {layout.parameters[name] for layout in LAYOUTS.values() if name in layout.parameters}
    fixed = len(widths) == 1 and name not in COEFFICIENTS
    unit = "" if name in COEFFICIENTS else "m" if name == "transl" else "rad"
    doc = COEFFICIENTS.get(name, "Place of the body in the camera frame." if unit == "m" else "Rotation vectors.")
    optional = name not in LAYOUTS["smpl"].parameters
    return _column(name, _vector(widths.pop() if fixed else None), doc, unit, optional=optional, body=True)


_TEXT, _NUMBER, _WHOLE = pa.string(), pa.float32(), pa.int32()

COLUMNS: tuple[Column, ...] = (
    _column("dataset", _TEXT, "First part of each person's key.", required=True),
    _column("image_path", _TEXT, "Relative to the folder of images."),
    _column("image_width", _WHOLE, "Of the image.", "px"),
    _column("image_height", _WHOLE, "Of the image.", "px"),
    _column("annotation_id", pa.int64(), "Of the dataset's annotation file.", required=True),
    _column("person_id", _WHOLE, "Index among the people of the image.", required=True),
    _column("bbox_xywh", _vector(4), "Box of the person.", "px"),
    _column(
        "body_model", _TEXT, 'Kind of the body: "smpl", "smplx", "free"; "none" without one.', required=True, body=True
    ),
    _column("gender", _TEXT, "Of the body model's file.", required=True, body=True),
    *map(_parameter, PARAMETERS),
    _column("flat_hand_mean", pa.bool_(), "Whether hands are measured from a flat hand.", optional=True, body=True),
    _column("latent", _vector(_LATENTS), "Of the pose prior.", body=True),
    _column("prior", _TEXT, "Version of the prior.", body=True),
    _column("focal", _vector(2), "Focal lengths.", "px"),
    _column("center", _vector(2), "Principal point.", "px"),
    _column("camera_model", _TEXT, '"perspective", or none.'),
    _column("landmark_set", _TEXT, "Order of `landmarks_2d`.", optional=True),
    _column("landmarks_2d", pa.list_(_vector(3)), "Keypoints: x, y and confidence.", "px"),
    _column("reprojection_px", _NUMBER, "Mean distance of landmarks to keypoints.", "px", score=True),
    _column("reprojection_rel", _NUMBER, "The same as a fraction of the box's longer side.", score=True),
    _column("visible_keypoints", _WHOLE, "Keypoints with a confidence.", score=True),
    _column("prior_energy", _NUMBER, "Mean of the squared latent.", score=True),
    _column("flip_disagreement_mm", _NUMBER, "Distance to the joints of the mirrored image.", "mm", score=True),
    _column("jitter_mm", _NUMBER, "Distance to the joints of shifted crops.", "mm", score=True, optional=True),
    _column("truncation", _NUMBER, "Fraction of the landmarks outside the image.", score=True, optional=True),
    _column("limit_violation", _NUMBER, "Beyond the joint limits, summed over joints.", "rad", score=True),
    _column("quality", _NUMBER, "Calibrated chance of a good body, in [0, 1].", score=True),
    _column("expected_error_mm", _NUMBER, "Expected PA-MPJPE.", "mm", score=True, optional=True),
    _column("views", _WHOLE, "Number of views that the body was fitted to.", score=True, optional=True),
    _column("track", pa.int64(), "Index of the person among those of a clip.", score=True, optional=True),
    _column("valid", pa.bool_(), "Whether the row has a body.", required=True, body=True),
    _column("reason", _TEXT, 'Why there is none: "code: detail".'),
    _column("method", _TEXT, "What found the body.", required=True, score=True),
    _column("weights_sha256", _TEXT, "Hash of all weights that it took.", required=True, score=True),
    _column("pgtfast_version", _TEXT, "Version that wrote the row.", required=True, score=True),
)
"""Metres, radians, pixels; translation and orientation in the camera frame. Rows with `valid` false hold null in every
column of the body and say
in `reason` why."""

SCHEMA = pa.schema(
    [pa.field(c.name, c.type, nullable=not c.required) for c in COLUMNS], metadata={VERSION_KEY: str(VERSION).encode()}
)
KEY = ("dataset", "image_path", "annotation_id")
"""Columns that name a person."""
SCORES = tuple(c.name for c in COLUMNS if c.score)
"""Columns of `People.scores`."""
PENDING = tuple(c.name for c in COLUMNS if not c.body and not c.score)
"""Columns of people whose bodies are yet to be found."""
OPTIONAL = frozenset(c.name for c in COLUMNS if c.optional)
