"""Body-model files -> `BodyModel`: SMPL, SMPL-H, SMPL-X, MANO and the free body; landmark plans."""

from pgtfast.body._arrays import BodyFileError, Regressor, Source
from pgtfast.body._landmarks import LandmarkPlan
from pgtfast.body._model import BodyModel, BodyOutput, load_body

__all__ = ["BodyFileError", "BodyModel", "BodyOutput", "LandmarkPlan", "Regressor", "Source", "load_body"]
