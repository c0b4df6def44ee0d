"""Joint names of the known trees, in the order of their files."""

from __future__ import annotations

from pgtfast import skeletons

_BODY = skeletons.get("smpl24").joints
KIND_OF_JOINTS = {24: "smpl", 52: "smplh", 55: "smplx", 16: "mano"}
"""Which model has so many joints."""
_FINGERS = tuple(f"{finger}{bone}" for finger in ("index", "middle", "pinky", "ring", "thumb") for bone in (1, 2, 3))


def _hand(side: str) -> tuple[str, ...]:
    return tuple(f"{side}_{finger}" for finger in _FINGERS)


def joint_names_of(kind: str, joints: int) -> tuple[str, ...]:
    """Names for a tree of that kind; numbered ones where the kind has no names of its own."""
    hands = _hand("left") + _hand("right")
    known = {
        "smpl": _BODY,
        "free": _BODY,
        "smplh": _BODY[:22] + hands,
        "smplx": (*_BODY[:22], "jaw", "left_eye_smplhf", "right_eye_smplhf", *hands),
        "mano": ("wrist", *_FINGERS),
    }.get(kind, ())
    return known if len(known) == joints else tuple(f"joint_{at}" for at in range(joints))
