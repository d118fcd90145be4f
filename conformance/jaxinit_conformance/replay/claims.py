"""Replay: from torch's seed torch's own numbers, call after call, and torch's state after them.

There is no chance in it: numbers are compared one by one, from seeds that no one chose.
Uniform numbers, permutations and states are torch's to the bit; normal numbers are within
2**-20 standard deviations, and to the bit with `exact`. torch's own bits depend on the
processor: where it runs without AVX2, bits are claimed only of what is not rounded, and
normal numbers are within 2**-18.
"""

import random
from collections.abc import Iterator

from ..checks.check import PlannedCheck
from ..targets import Target
from . import calls, streams


def checks(target: Target, seed: int, quick: bool) -> Iterator[PlannedCheck]:
    """Every claim about the target's `TorchGenerator`, if it has one, and about what is drawn from it."""
    if not target.has("TorchGenerator"):
        return
    dice = random.Random(seed)
    seeds = (seed, dice.randrange(2**32, 2**64), -dice.randrange(1, 2**63))[: 1 if quick else 3]
    yield from streams.checks(target, seeds, quick)
    yield from calls.checks(target, seeds, quick)
    if nnx := target.nnx:
        from . import models  # it alone needs flax

        yield from models.checks(target, nnx, seed, quick)
