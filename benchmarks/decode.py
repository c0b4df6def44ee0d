"""DALI decoding pictures from memory and doing nothing else: what no loader can be faster than, unless it decodes
less.
"""

from __future__ import annotations

from collections import deque
from typing import Any

AHEAD = 2
"""Batches in flight."""


class Decoder:
    """Decodes batches of pictures; what comes out is thrown away.

    Pictures are fed by hand: a pipeline that asks for them itself decodes those of the next sample during this one.

    Args:
        batch_size: most pictures at once.
        threads: that decode.
        device: cpu or cuda.
        parts: whether the part of each picture is given that is to be decoded; else all of it is.
        ahead: batches in flight, at most as many as will be fed.
    """

    def __init__(self, batch_size: int, threads: int, device: str, *, parts: bool = False, ahead: int = AHEAD) -> None:
        from nvidia.dali import Pipeline, fn
        from nvidia.dali import types as dali_types

        types: Any = dali_types
        decoders: Any = fn.decoders
        cuda = device.startswith("cuda")
        self._ahead, self._fed, self._flight = ahead, 0, deque[dict[str, Any]]()

        def given(name: str, dtype: Any) -> Any:
            return fn.external_source(name=name, dtype=dtype, ndim=1, no_copy=not cuda)

        options: dict[str, Any] = {"device": "mixed" if cuda else "cpu", "adjust_orientation": False}
        self._pipe = Pipeline(batch_size, threads, 0 if cuda else None, prefetch_queue_depth=ahead)
        with self._pipe:
            data = given("data", types.UINT8)
            if parts:
                place = given("start", types.INT32), given("shape", types.INT32)
                whole = {"axis_names": "WH", "normalized_anchor": False, "normalized_shape": False}
                self._pipe.set_outputs(decoders.image_slice(data, *place, **whole, **options))
            else:
                self._pipe.set_outputs(decoders.image(data, **options))
        self._pipe.build()

    def step(self, **inputs: Any) -> None:
        """Feed a batch (data, and with `parts` start and shape, by picture) and, where enough are in flight, wait for
        the first.
        """
        for name, values in inputs.items():
            self._pipe.feed_input(name, values)
        self._flight.append(inputs)  # DALI reads from these very arrays
        self._fed += 1
        if self._fed >= self._ahead:  # the first ones start together
            self._pipe.schedule_run()
        if len(self._flight) >= self._ahead:
            self._take()

    def drain(self) -> None:
        """Wait for all that are in flight."""
        while self._flight:
            self._take()

    def _take(self) -> None:
        self._pipe.share_outputs()
        self._pipe.release_outputs()
        self._flight.popleft()
