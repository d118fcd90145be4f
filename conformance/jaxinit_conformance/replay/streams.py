"""Streams of mixed calls, and the state of the generator between them."""

import functools
import random
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch

from ..checks import cases
from ..checks.cases import Case
from ..checks.check import PlannedCheck, Result, equal, exact
from ..reference import torch_init
from ..targets import Target
from . import calls
from .bits import TO_THE_BIT, BitComparison, Tolerance
from .calls import APART, DTYPES, FEW, SAME_BITS, SIZES, VECTORS

EXTREMES = 0, 2**32, 2**63, 2**64 - 1, -1, -(2**63)
SEAMS = 0, 1, 2, 15, 16, 17, 31, 623, 624, 625
"""Sizes beside a block of 16, and beside the 624 integers that MT19937 makes at once."""

KERNELS = tuple(case for case in cases.ELEMENTWISE if case.axes == "io" and case.initializer in cases.FAN_SCHEMES)


class Step(NamedTuple):
    """Represent the next step of a stream: draw an array, draw a permutation, or else exchange the states of both
    generators.
    """

    case: Case | None = None
    n: int | None = None


def checks(target: Target, seeds: tuple[int, ...], quick: bool) -> Iterator[PlannedCheck]:
    """Yield the checks of seeds, of permutations, and of one stream for each seed."""
    yield exact("TorchGenerator", "replay seeds", "extremes", lambda: _extremes(target))
    for sizes, numbers in (FEW if quick else SIZES).items():
        steps = [Step(n=n) for n in numbers]
        yield exact("randperm", "replay", f"n {sizes}", functools.partial(_followed, target, seeds[0], steps))
    # torch draws fewer than 16 normals in pairs, and keeps the second one of a pair in its state.
    pairs = [Step(calls.vector("normal", {}, size, dtype)) for size in (1, 3, 2, 1, 5) for dtype in DTYPES]
    handed = [each for step in pairs for each in (step, Step())]
    following = functools.partial(_followed, target, seeds[0], handed)
    if target.has("normal"):
        yield exact("TorchGenerator", "replay states", "normals in pairs", following)
    for number, seed in enumerate(seeds, start=1):
        following = functools.partial(_followed, target, seed, _mixed(target, random.Random(seed)))
        yield exact("TorchGenerator", "replay states", f"mixed calls, stream {number}", following)


def _extremes(target: Target) -> Result:
    differing = 0
    for seed in EXTREMES:
        generator, in_torch = target.namespace.TorchGenerator(seed), torch.Generator().manual_seed(seed)
        is_same_state = np.array_equal(generator.get_state(), in_torch.get_state().numpy())
        differing += not (is_same_state and generator.initial_seed() == in_torch.initial_seed())
    return equal(f"{differing} of {len(EXTREMES)} differ", f"0 of {len(EXTREMES)} differ")


def _mixed(target: Target, dice: random.Random) -> list[Step]:
    """Return calls of any kind, dtype and size. About one step in nine exchanges the states."""
    vectors: list[Callable[[], Step]] = [lambda: _vector(*dice.choice(VECTORS), dice)]
    others: list[Callable[[], Step]] = [
        lambda: Step(dice.choice(KERNELS)),
        lambda: Step(n=dice.choice(SEAMS)),
        lambda: Step(),
    ]
    steps = [dice.choice(vectors * 6 + others)() for _ in range(150)]
    return [step for step in steps if step.case is None or _is_possible(target, step.case)]


def _vector(name: str, arguments: dict[str, float], dice: random.Random) -> Step:
    size, dtype = dice.choice(SEAMS), dice.choice(DTYPES)
    if calls.is_decided_by_rounding(name, arguments, dtype):
        size = min(size, SEAMS[4])
    return Step(calls.vector(name, arguments, size, dtype))


def _is_possible(target: Target, case: Case) -> bool:
    return target.has(case.initializer) and calls.is_claimed(case)


def _followed(target: Target, seed: int, steps: Sequence[Step]) -> Result:
    """Compare both generators after every step."""
    comparison, generator = BitComparison(), calls.new_generator(target, seed)
    with torch_init.seeded(seed):
        for step in steps:
            if step.case is not None:
                calls.compare(comparison, target, step.case, generator)
            elif step.n is not None:
                comparison.add(generator.randperm(step.n), torch.randperm(step.n).numpy(), TO_THE_BIT)
            else:
                generator = _exchanged(target, generator)
            comparison.add_states(generator.get_state(), torch.get_rng_state().numpy())
    return comparison.result(TO_THE_BIT if SAME_BITS else Tolerance(1.0, APART))


def _exchanged(target: Target, generator: Any) -> Any:
    """Return a generator with the state of torch, and set torch to the state of the old one."""
    state = torch.get_rng_state().numpy()
    torch.set_rng_state(torch.from_numpy(generator.get_state()))
    return target.namespace.TorchGenerator.from_state(state)
