"""What a skeleton is: a name, joints in order, and the lines between them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property


def joint_key(name: str) -> str:
    """One spelling for all styles: "L_Big_toe", "left_big_toe" and "LBigToe"-like "l big toe" become "l_big_toe"."""
    key = name.strip().lower().replace(" ", "_")
    for word, letter in (("left_", "l_"), ("right_", "r_")):
        if key.startswith(word):
            return letter + key[len(word) :]
    return key


@dataclass(frozen=True)
class Skeleton:
    """A joint set.

    Attributes:
        name: what `pgtfast.skeletons.get` and `body.landmarks` call it.
        joints: K joint names in order.
        edges: pairs of joint indices, for drawing and bone lengths.
    """

    name: str
    joints: tuple[str, ...]
    edges: tuple[tuple[int, int], ...]

    def __len__(self) -> int:
        return len(self.joints)

    @cached_property
    def index(self) -> dict[str, int]:
        """joint_key -> position."""
        return {joint_key(joint): at for at, joint in enumerate(self.joints)}

    @cached_property
    def flip_pairs(self) -> tuple[tuple[int, int], ...]:
        """Indices of (left, right) joints that change places in a mirrored picture, found by name."""
        return tuple((at, self.index["r_" + key[2:]]) for key, at in self.index.items() if key.startswith("l_"))

    @cached_property
    def flip_permutation(self) -> tuple[int, ...]:
        """For each joint the index that takes its place in a mirrored picture:
        ``flipped = points[..., permutation, :]``.
        """
        order = list(range(len(self.joints)))
        for left, right in self.flip_pairs:
            order[left], order[right] = right, left
        return tuple(order)
