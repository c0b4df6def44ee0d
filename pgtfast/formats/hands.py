"""What hands are measured from: a flat hand, or the mean hand of the body model."""

from __future__ import annotations

from dataclasses import replace

from .._errors import PgtfastError
from ..body import BodyModel
from ..people import People
from .columns import hands

_POSES = {True: "a flat hand (flat_hand_mean=True)", False: "the model's mean hand (flat_hand_mean=False)"}


def measured_from(people: People, flat: bool, body: BodyModel | None, where: str) -> People:
    """The same hands, measured from a flat hand or from the mean hand.

    Args:
        people: whose `flat_hand_mean` says what their hands are measured from.
        flat: what is wanted.
        body: holds the mean hand of the model.
        where: what wants it, for messages.

    Raises:
        PgtfastError: nothing says what the hands are measured from, or they are measured from another pose and there is
        no body.
    """
    found = hands(people)
    if not found or people.flat_hand_mean is flat:
        return people
    if people.flat_hand_mean is None:
        raise PgtfastError(
            f"{where} measures hands from {_POSES[flat]}, and nothing says what these are measured from; name it "
            f"with --hands flat or mean"
        )
    means = {} if body is None else dict(body.hands_mean)
    missing = [name for name in found if name not in means]
    if missing:
        raise PgtfastError(
            f"{where} measures hands from {_POSES[flat]}, these are measured from {_POSES[people.flat_hand_mean]}; "
            f"name the body file of the "
            f"parameters with --body PATH: its mean hand ({', '.join(missing)}) is needed to convert them"
        )
    sign = 1 if flat else -1
    converted = {name: people.body[name] + sign * means[name] for name in found}
    return replace(people, body={**people.body, **converted}, flat_hand_mean=flat)
