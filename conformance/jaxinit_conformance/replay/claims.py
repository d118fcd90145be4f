"""Claims about replay: from torch's seed torch's numbers, call after call, and torch's state after them.

Nothing is random: numbers are compared one by one, from fresh seeds. Where torch runs on AVX2 or
AVX-512, every number is equal to the bit, but for the rounding of the QR in `orthogonal`. On other
processors torch rounds products, logarithms and cosines differently. There numbers are near, and
`trunc_normal` is not claimed.
"""

import random
from collections.abc import Iterator

from ..checks.check import PlannedCheck
from ..targets import Target
from . import calls, streams


def checks(target: Target, seed: int, quick: bool) -> Iterator[PlannedCheck]:
    """Yield every check of the `TorchGenerator` of a target that has one, and of what is drawn from it."""
    if not target.has("TorchGenerator"):
        return
    dice = random.Random(seed)
    seeds = (seed, dice.randrange(2**32, 2**64), -dice.randrange(1, 2**63))[: 1 if quick else 3]
    yield from streams.checks(target, seeds, quick)
    yield from calls.checks(target, seeds, quick)
    if target.nnx:
        from . import models  # this file alone needs flax

        yield from models.checks(target, seed, quick)
