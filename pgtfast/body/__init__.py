"""Body-model files -> `BodyModel`: SMPL, SMPL-H, SMPL-X, MANO and the free body; landmark plans."""

from pgtfast.body._arrays import BodyFileError, Regressor, Source
from pgtfast.body._find import ENVIRONMENT as BODY_FOLDERS_VARIABLE
from pgtfast.body._find import FILES as BODY_FILES
from pgtfast.body._find import find_body
from pgtfast.body._landmarks import LandmarkPlan
from pgtfast.body._model import BodyModel, BodyOutput, from_smplx, load_body

__all__ = [
    "BODY_FILES",
    "BODY_FOLDERS_VARIABLE",
    "BodyFileError",
    "BodyModel",
    "BodyOutput",
    "LandmarkPlan",
    "Regressor",
    "Source",
    "find_body",
    "from_smplx",
    "load_body",
]
