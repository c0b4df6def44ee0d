"""Why a person was skipped."""

from __future__ import annotations

from enum import Enum


class Reason(str, Enum):
    """Codes of what keeps a person from being used; the store writes them before the detail."""

    BAD_3D = "bad-3d"
    BAD_ANNOTATION = "bad-annotation"
    BAD_BOX = "bad-box"
    BAD_IMAGE = "bad-image"
    BAD_KEYPOINTS = "bad-keypoints"
    BEHIND_CAMERA = "behind-camera"
    BOX = "box"
    CROWD = "crowd"
    DAMAGED = "damaged"
    DECODE = "decode"
    DUPLICATE_ID = "duplicate-id"
    EMPTY = "empty"
    FEW_KEYPOINTS = "few-keypoints"
    FORMAT = "format"
    MISSING = "missing"
    MISSING_FILE = "missing-file"
    NO_3D = "no-3d"
    NO_BODY = "no-body"
    NO_BOX = "no-box"
    NO_CAMERA = "no-camera"
    NO_CROP = "no-crop"
    NO_ID = "no-id"
    NO_IMAGE = "no-image"
    NO_KEYPOINTS = "no-keypoints"
    NO_TRUNK = "no-trunk"
    NOT_FINITE = "not-finite"
    NOT_NEAREST = "not-nearest"
    NOT_VALID = "not-valid"
    OUTSIDE = "outside"
    SIZE = "size"
    TOO_LARGE = "too-large"
    TRUNCATED = "truncated"
    UNKNOWN = "unknown"
    """Of files by other versions of pgtfast."""

    def __str__(self) -> str:
        return self.value


class Skip(str):
    """A reason with its detail; as text "code: detail", which is how the store holds it.

    Args:
        code: the kind of reason.
        detail: what was found, what was wanted and where.
    """

    code: Reason
    detail: str

    def __new__(cls, code: Reason, detail: str) -> Skip:
        skip = super().__new__(cls, f"{code}: {detail}")
        skip.code, skip.detail = code, detail
        return skip

    def __getnewargs__(self) -> tuple[Reason, str]:  # type: ignore[override]
        return self.code, self.detail

    @classmethod
    def parse(cls, text: str) -> Skip:
        """Undo `str`; a code of another version is kept in the detail."""
        code, _, detail = text.partition(": ")
        try:
            return cls(Reason(code), detail)
        except ValueError:
            return cls(Reason.UNKNOWN, text)
