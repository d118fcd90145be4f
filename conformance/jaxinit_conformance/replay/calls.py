"""One call after the other from torch's generator and from ours: which, and how near the numbers must be."""

import dataclasses
import functools
import math
import warnings
from collections.abc import Iterator
from typing import Any

import jax.numpy as jnp
import numpy as np
import torch

from ..axes import is_flax, to_torch
from ..checks import cases
from ..checks.cases import Case
from ..checks.check import PlannedCheck, Result, exact
from ..reference import torch_init
from ..targets import Target
from .bits import TO_THE_BIT, BitComparison, Tolerance

SAME_BITS = torch.backends.cpu.get_cpu_capability().startswith("AVX")
"""Whether torch fuses products into sums, and takes logarithms and cosines, as it does with AVX2."""

NEAR = 2.0**-20 if SAME_BITS else 2.0**-18
"""How far normal numbers of std 1 may be apart; torch's angles are rounded more coarsely without AVX2."""

APART = f"at most 2**{-20 if SAME_BITS else -18} std apart"

DTYPES = "float32", "float64", "float16", "bfloat16"
SIZES: dict[str, tuple[int, ...]] = {
    "0 to 70": tuple(range(71)),
    "4095 to 4097": (4095, 4096, 4097),
    "1000000": (10**6,),
}
FEW = {"0, 1, 15 to 17, 70": (0, 1, 15, 16, 17, 70)}
"""In a quick run: on both sides of a block of 16."""

FAR_WINDOW = "trunc_normal", {"a": 2.0, "b": 2.2}
"""Where torch rejects uniform numbers, not normal ones: by their logarithms, and how its own rounds float32
decides otherwise than the true ones once in 10**11 numbers. So few of these are compared: of a full run's
rate of false alarms they are a tenth."""

VECTORS: tuple[tuple[str, dict[str, float]], ...] = (
    ("uniform", {}),
    ("uniform", {"a": -0.3, "b": 0.7}),
    ("normal", {}),
    ("normal", {"mean": 0.1, "std": 0.5}),
    ("trunc_normal", {"a": -1.5}),
    FAR_WINDOW,
    ("constant", {"val": 0.3}),
)
"""What torch draws entry by entry, whatever the shape."""

NORMAL = "normal", "xavier_normal", "kaiming_normal", "sparse"
DRAW_NOTHING = "zeros", "ones", "constant", "eye", "dirac"

_WITHOUT_AXES = "uniform", "normal", "trunc_normal"


@dataclasses.dataclass(frozen=True)
class Replay:
    """These arrays, one after the other from one generator, for each seed."""

    target: Target
    arrays: tuple[Case, ...]
    label: str
    seeds: tuple[int, ...]
    exact: bool = False

    def check(self) -> PlannedCheck:
        claim = "replay exact" if self.exact else "replay"
        return exact(self.arrays[0].initializer, claim, self.label, self.evaluate)

    def evaluate(self) -> Result:
        comparison = BitComparison()
        for seed in self.seeds:
            ours = self.target.namespace.TorchGenerator(seed, exact=self.exact)
            with torch_init.seeded(seed):
                for case in self.arrays:
                    compare(comparison, self.target, case, ours, self.exact)
                    comparison.add_states(ours.get_state(), torch.get_rng_state().numpy())
        return comparison.result(tolerance(self.arrays[0], self.exact))


def checks(target: Target, seeds: tuple[int, ...], quick: bool) -> Iterator[PlannedCheck]:
    """Each initializer that the target has, in many sizes and dtypes, and in every layout."""
    for one in (*_vectors(target, seeds, quick), *_arrays(target, seeds[:1], quick)):
        if target.has(one.arrays[0].initializer) and is_claimed(one.arrays[0]):
            yield one.check()
            if one.arrays[0].initializer in NORMAL:
                yield dataclasses.replace(one, exact=True).check()


def _vectors(target: Target, seeds: tuple[int, ...], quick: bool) -> Iterator[Replay]:
    for name, arguments in VECTORS:
        for dtype in DTYPES:
            for sizes, numbers in (FEW if quick else SIZES).items():
                if (name, arguments) == FAR_WINDOW and dtype == "float32" and max(numbers) > 70:
                    continue
                given = "".join(f"{argument}={value}, " for argument, value in arguments.items())
                each = tuple(vector(name, arguments, size, dtype) for size in numbers)
                yield Replay(target, each, f"{given}size {sizes}, {dtype}", seeds if len(each) > 1 else seeds[:1])


def _arrays(target: Target, seeds: tuple[int, ...], quick: bool) -> Iterator[Replay]:
    """Those of the other sections, for their arguments and layouts."""
    for case in (*cases.ELEMENTWISE, *cases.EXACT, *cases.ORTHOGONAL, *cases.SPARSE):
        is_known = target.knows_layouts or is_flax(case.axes)
        is_short = not quick or (case.quick and case.initializer not in (*_WITHOUT_AXES, *DRAW_NOTHING))
        if is_known and is_short:
            axes = "x" * len(case.shape) if case.initializer in _WITHOUT_AXES else case.axes
            yield Replay(target, (dataclasses.replace(case, axes=axes),), case.label, seeds)


def vector(name: str, arguments: dict[str, float], size: int, dtype: str) -> Case:
    return Case(name, (size,), "x", dtype, tuple(arguments.items()))


def is_claimed(case: Case) -> bool:
    """Without AVX2 torch may redraw where we do not, and all that follows is otherwise."""
    return SAME_BITS or case.initializer != "trunc_normal"


def tolerance(case: Case, is_exact: bool) -> Tolerance:
    """How near to torch's the numbers of a case must be."""
    name = case.initializer
    if name == "orthogonal":  # torch's QR rounds otherwise
        return Tolerance(1e-5, "at most 1e-05 apart")
    if name in DRAW_NOTHING or (SAME_BITS and (is_exact or name not in NORMAL)):
        return TO_THE_BIT
    shape = case.torch_shape if set(case.axes) != {"x"} else (16,)
    mean = abs(case.keywords.get("mean", 0.0))
    size = NEAR * _std(name, case.arguments, shape) + 2.0**-23 * mean
    return Tolerance(size, APART + ", but for a rounding of the mean" * bool(mean))


@functools.cache
def _std(name: str, arguments: tuple[tuple[str, Any], ...], shape: tuple[int, ...]) -> float:
    if name == "sparse":
        return float(dict(arguments).get("std", torch_init.parameters(name)["std"]))
    return torch_init.expected(name, dict(arguments), shape).std


def compare(comparison: BitComparison, target: Target, case: Case, ours: Any, is_exact: bool) -> None:
    """One array from each generator; torch's is the global one."""
    init = target.build(case.initializer, case.keywords, case.axes)
    weights = math.prod(n for n, letter in zip(case.shape, case.axes, strict=True) if letter == "b")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # torch's, of windows far out
        drawn = np.asarray(init(ours, case.shape, jnp.dtype(case.dtype)))
        theirs = torch_init.fill(case.initializer, case.keywords, case.torch_shape, case.dtype, weights)
    in_order = drawn if set(case.axes) == {"x"} else to_torch(drawn, case.axes)
    comparison.add(in_order, theirs, tolerance(case, is_exact))
