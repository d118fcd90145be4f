"""The suite as functions, for the tests of other projects."""

import contextlib
import numbers
import operator
import re
import types
import typing
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxinit.distributions import Kind

from . import suite, targets
from .checks import elementwise
from .checks.cases import Case
from .checks.check import PlannedCheck, Result, Sample, exact
from .reference import torch_init
from .reference.expected import Expected, is_distribution
from .statistics.tests import Rates
from .suite import Report


def run(target: Any = "jaxinit", *, seed: int | None = None, quick: bool = True, select: str = "") -> Report:
    """Check a namespace of initializers against the installed torch.

    Args:
        target: a namespace with torch's names as factories, or the name of one to import. `torch` and the
            libraries of `adapters.LIBRARIES` have names too.
        seed: the seed of all draws, a fresh one by default. Any seed must pass.
        quick: whether to run fewer cases, at the same error rates.
        select: a regular expression. Only checks whose id matches are run.

    Returns:
        The report, with `.conforms`, `.failures`, and `.as_json()` with the content of report.json.

    Raises:
        TargetError: `target` is a name that cannot be imported.
        TypeError: `target` is not a namespace, or `seed` is not an integer.
        ValueError: `seed` is out of range, or `select` matches no check or is not a regular expression.

    Example:
        >>> report = run("jaxinit", select="^(zeros|eye): equal")
        >>> report.conforms, report.failures
        (True, [])
    """
    found, seed = _target(target), suite.valid_seed(seed)
    try:
        re.compile(select)
    except re.error as error:
        raise ValueError(f"`select` must be a regular expression, got {select!r}: {error}") from None
    report = suite.run(found, seed, quick, select)
    if not report.results:
        raise ValueError(f"`select` must match the id of a check, got {select!r}")
    return report


def _target(target: Any) -> targets.Target:
    if isinstance(target, str):
        return targets.load(target)
    found = targets.Target(getattr(target, "__name__", type(target).__name__), target)
    if not any(found.has(name) for name in torch_init.initializers()):
        raise TypeError(f"`target` must be a namespace with initializers of torch's names, or its name, got {target!r}")
    return found


def assert_conforms(
    init: Any,
    distribution: Any,
    shape: Sequence[int] = (96, 144),
    dtype: str = "float32",
    *,
    seed: int | None = None,
    false_alarm: float = 1e-6,
    miss: float = 1e-6,
) -> None:
    """Assert that the entries that `init` draws are independent, and distributed as claimed.

    Args:
        init: called with a key, a shape and a dtype.
        distribution: the distribution of one entry, as `init.distribution(shape)` of jaxinit returns it.
        shape: the shape of each array. Each axis has at least 2 entries, or 1 for a constant.
        dtype: the dtype of each array, floating and real.
        seed: the seed of the keys, a fresh one by default.
        false_alarm: the probability that a conforming `init` fails.
        miss: the probability that a deviation passes. Its size for the mean is 0.5% of a standard
            deviation, and for the scale of a normal 1%. For the bounds of a uniform it is 2e-5 of
            the width, and for the distribution function 0.01.

    Raises:
        AssertionError: a claim does not hold. The message has one line for each.
        TypeError: `init` is not callable, `distribution` is not a distribution, or `seed` is not an integer.
        ValueError: `shape`, `dtype`, `seed`, `false_alarm` or `miss` is out of range.

    Example:
        >>> assert_conforms(jaxinit.uniform(-1, 1), jaxinit.uniform(-1, 1).distribution((96, 144)))
        >>> assert_conforms(jax.nn.initializers.normal(1.02), jaxinit.normal().distribution((96, 144)))
        Traceback (most recent call last):
            ...
        AssertionError: ...
    """
    if not callable(init):
        raise TypeError(f"`init` must be called with a key, a shape and a dtype, got {init!r}")
    if not is_distribution(distribution) or distribution.kind not in _KINDS:
        raise TypeError(f"`distribution` must be what `init.distribution(shape)` returns, got {distribution!r}")
    is_constant = distribution.std == 0
    shape, dtype = _shape(shape, 1 if is_constant else 2), _dtype(dtype)
    overall = Rates(_probability("false_alarm", false_alarm), _probability("miss", miss))
    case = Case("init", shape, axes="x" * len(shape), dtype=dtype, fine=True)
    sample = Sample(
        targets.Target("init", types.SimpleNamespace(init=lambda: init)), case, jax.random.key(suite.valid_seed(seed))
    )
    with jax.enable_x64(True) if dtype == "float64" else contextlib.nullcontext():
        checks = [_equal(sample, distribution.mean)] if is_constant else _random(sample, distribution)
        rates = overall.over(sum(check.statistical for check in checks))
        result = [(check.claim, suite.evaluate(check, rates)) for check in checks]
    wrong = [f"{claim}: got {seen.observed}, expected {seen.expected}" for claim, seen in result if not seen.passed]
    if wrong:
        raise AssertionError(f"{init} does not draw {distribution}:\n" + "\n".join(wrong))


def _random(sample: Sample, distribution: Any) -> list[PlannedCheck]:
    return list(elementwise.claims(sample, Expected.stated(distribution)))


def _equal(sample: Sample, value: complex) -> PlannedCheck:
    """Return the check that every entry is `value`, rounded to the dtype."""

    def evaluate() -> Result:
        arrays = sample.arrays(2)
        rounded = np.asarray([value.real, value.imag]).astype(jnp.dtype(sample.case.dtype))
        different = int(((arrays != rounded[0]) | (rounded[1] != 0)).sum())
        return Result(different == 0, f"{different} different", f"0 of {arrays.size} different from {value}")

    return exact("init", "equal", sample.case.label, evaluate)


_KINDS = typing.get_args(Kind)


def _shape(shape: Sequence[int], least: int) -> tuple[int, ...]:
    sizes = tuple(shape) if isinstance(shape, Sequence) else ()
    if not sizes or not all(hasattr(size, "__index__") and operator.index(size) >= least for size in sizes):
        raise ValueError(f"`shape` must be a sequence of at least one size, each at least {least}, got {shape!r}")
    return tuple(map(operator.index, sizes))


def _dtype(dtype: Any) -> str:
    try:
        found = jnp.dtype(dtype)
    except TypeError:
        found = None
    if found is None or not jnp.issubdtype(found, jnp.floating):
        raise ValueError(f"`dtype` must be a real floating dtype, got {dtype!r}")
    return str(found)


def _probability(name: str, value: Any) -> float:
    if not isinstance(value, numbers.Real) or not 0 < float(value) < 1:
        raise ValueError(f"`{name}` must be between 0 and 1, both excluded, got {value!r}")
    return float(value)
