"""One call after the other: which calls are compared, and how near the numbers must be."""

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
"""Whether torch runs the code that is compared to the bit: AVX2 or AVX-512."""

NEAR = 2.0**-20 if SAME_BITS else 2.0**-18
"""How far numbers of std 1 may be apart where bits are not claimed."""

APART = f"at most 2**{-20 if SAME_BITS else -18} std apart"

DTYPES = "float32", "float64", "float16", "bfloat16"
SIZES: dict[str, tuple[int, ...]] = {
    "0 to 70": tuple(range(71)),
    "4095 to 4097": (4095, 4096, 4097),
    "1000000": (10**6,),
}
FEW = {"0, 1, 15 to 17, 70": (0, 1, 15, 16, 17, 70)}
"""The sizes of a quick run: on both sides of a block of 16."""
FAR = {"0, 1, 15 to 17": (0, 1, 15, 16, 17)}
"""The sizes in float32 of the window below."""

FAR_WINDOW = "trunc_normal", {"a": 2.0, "b": 2.2}
"""A window in which torch rejects uniforms by their logarithms. Those of MKL in float32 are one ulp off for 7.5% of the
arguments on AMD. Once in 1e9 decisions torch then decides otherwise than here, so few such numbers are compared: at
most some 170, a fifth of the false alarms that a full run may have."""

VECTORS: tuple[tuple[str, dict[str, float]], ...] = (
    ("uniform", {}),
    ("uniform", {"a": -0.3, "b": 0.7}),
    ("normal", {}),
    ("normal", {"mean": 0.1, "std": 0.5}),
    ("trunc_normal", {"a": -1.5}),
    FAR_WINDOW,
    ("constant", {"val": 0.3}),
)
"""Initializers that torch draws entry by entry, whatever the shape."""

DRAW_NOTHING = "zeros", "ones", "constant", "eye", "dirac"
_WITHOUT_AXES = "uniform", "normal", "trunc_normal"


@dataclasses.dataclass(frozen=True)
class Replay:
    """Represent arrays that are drawn one after the other from one generator, for each seed."""

    target: Target
    arrays: tuple[Case, ...]
    label: str
    seeds: tuple[int, ...]

    def check(self) -> PlannedCheck:
        return exact(self.arrays[0].initializer, "replay", self.label, self.judge)

    def judge(self) -> Result:
        comparison = BitComparison()
        for seed in self.seeds:
            generator = new_generator(self.target, seed)
            with torch_init.seeded(seed):
                for case in self.arrays:
                    compare(comparison, self.target, case, generator)
                    comparison.add_states(generator.get_state(), torch.get_rng_state().numpy())
        return comparison.result(tolerance(self.arrays[0]))


def new_generator(target: Target, seed: int) -> Any:
    """Return the generator of a target, seeded."""
    return target.namespace.TorchGenerator(seed)


def checks(target: Target, seeds: tuple[int, ...], quick: bool) -> Iterator[PlannedCheck]:
    """Yield the checks of each initializer of a target, in many sizes and dtypes, and in every layout."""
    for one in (*_vectors(target, seeds, quick), *_arrays(target, seeds[:1], quick)):
        if target.has(one.arrays[0].initializer) and is_claimed(one.arrays[0]):
            yield one.check()


def _vectors(target: Target, seeds: tuple[int, ...], quick: bool) -> Iterator[Replay]:
    for name, arguments in VECTORS:
        for dtype in DTYPES:
            is_far = is_decided_by_rounding(name, arguments, dtype)
            for sizes, numbers in (FAR if is_far else FEW if quick else SIZES).items():
                given = "".join(f"{argument}={value}, " for argument, value in arguments.items())
                each = tuple(vector(name, arguments, size, dtype) for size in numbers)
                is_once = is_far or len(each) == 1
                yield Replay(target, each, f"{given}size {sizes}, {dtype}", seeds[:1] if is_once else seeds)


def is_decided_by_rounding(name: str, arguments: dict[str, float], dtype: str) -> bool:
    """Return whether the rounding of a logarithm can decide which numbers torch draws."""
    return (name, arguments) == FAR_WINDOW and dtype == "float32"


def _arrays(target: Target, seeds: tuple[int, ...], quick: bool) -> Iterator[Replay]:
    """Yield the cases of `checks.cases`, for their arguments and layouts."""
    for case in (*cases.ELEMENTWISE, *cases.EXACT, *cases.ORTHOGONAL, *cases.SPARSE):
        is_known = target.knows_layouts or is_flax(case.axes)
        is_short = not quick or (case.quick and case.initializer not in (*_WITHOUT_AXES, *DRAW_NOTHING))
        if is_known and is_short:
            axes = "x" * len(case.shape) if case.initializer in _WITHOUT_AXES else case.axes
            yield Replay(target, (dataclasses.replace(case, axes=axes),), case.label, seeds)


def vector(name: str, arguments: dict[str, float], size: int, dtype: str) -> Case:
    return Case(name, (size,), "x", dtype, tuple(arguments.items()))


def is_claimed(case: Case) -> bool:
    """Return False for trunc_normal without AVX2: torch may then reject other numbers."""
    return SAME_BITS or case.initializer != "trunc_normal"


def tolerance(case: Case) -> Tolerance:
    """Return how near to torch's the numbers of a case must be."""
    name = case.initializer
    if name == "orthogonal":  # the QR of torch rounds differently
        return Tolerance(1e-5, "at most 1e-05 apart")
    if SAME_BITS or name in DRAW_NOTHING or (name, case.arguments) == ("uniform", ()):
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


def compare(comparison: BitComparison, target: Target, case: Case, generator: Any) -> None:
    """Draw one array from a generator of the target, and one from the global generator of torch."""
    init = target.build(case.initializer, case.keywords, case.axes)
    weights = math.prod(n for n, letter in zip(case.shape, case.axes, strict=True) if letter == "b")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # torch warns of windows far from the mean
        drawn = np.asarray(init(generator, case.shape, jnp.dtype(case.dtype)))
        in_torch = torch_init.fill(case.initializer, case.keywords, case.torch_shape, case.dtype, weights)
    in_order = drawn if set(case.axes) == {"x"} else to_torch(drawn, case.axes)
    comparison.add(in_order, in_torch, tolerance(case))
