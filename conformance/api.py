"""The suite as functions, for the tests of other projects."""

import secrets
import types
from collections.abc import Sequence
from typing import Any

import jax

from conformance import elementwise, suite, targets
from conformance.cases import Case
from conformance.checks import Sample
from conformance.reference import Expected
from conformance.statistics import Rates
from conformance.suite import Report


def run(target: Any = "jaxinit", *, seed: int | None = None, quick: bool = True, select: str = "") -> Report:
    """Checks a namespace of initializers against the installed torch.

    Args:
        target: a namespace with torch's names as factories, or the name of one to import; `torch`, and the
            libraries of `adapters.LIBRARIES`, by their names.
        seed: of all draws; a fresh one by default. Any seed must pass.
        quick: fewer cases, at the same error rates.
        select: a regular expression that the ids of the checks must match.

    Returns:
        The report: `.conforms`, `.failures`, and `.as_json()` with the content of report.json.

    Raises:
        TargetError: `target` is a name that cannot be imported, or cannot be asked for its names.

    Example:
        >>> report = run("jaxinit", select="^(zeros|eye): equal")
        >>> report.conforms, report.failures
        (True, [])
    """
    if isinstance(target, str):
        found = targets.load(target)
    else:
        found = targets.Target(getattr(target, "__name__", type(target).__name__), target)
    return suite.run(found, secrets.randbelow(2**31) if seed is None else seed, quick, select)


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
    """Fails unless the entries that `init` draws are independent and distributed as claimed.

    Args:
        init: called with a key, a shape and a dtype.
        distribution: of one entry, as `jaxinit`'s initializers answer `distribution(shape)`.
        shape: of each array.
        dtype: of each array.
        seed: of the keys; a fresh one by default.
        false_alarm: the probability with which a conforming `init` fails.
        miss: the probability with which a deviation of the promised size passes: 0.5% of a
            standard deviation for the mean, 1% for the scale of a normal, 2e-5 of the width
            for the bounds of a uniform, 0.01 for the distribution function.

    Raises:
        AssertionError: one line for each claim that does not hold.

    Example:
        >>> assert_conforms(jaxinit.uniform(-1, 1), jaxinit.uniform(-1, 1).distribution((96, 144)))
        >>> assert_conforms(jax.nn.initializers.normal(1.02), jaxinit.normal().distribution((96, 144)))
        Traceback (most recent call last):
            ...
        AssertionError: ...
    """
    case = Case("init", tuple(shape), axes="x" * len(shape), dtype=dtype, fine=True)
    target = targets.Target("init", types.SimpleNamespace(init=lambda: init))
    key = jax.random.key(secrets.randbelow(2**31) if seed is None else seed)
    with suite.wide_numbers():
        checks = list(elementwise.claims(Sample(target, case, key), Expected.stated(distribution)))
        rates = Rates(false_alarm, miss).over(sum(check.statistical for check in checks))
        evidence = [(check.claim, suite.evaluate(check, rates)) for check in checks]
    wrong = [f"{claim}: got {seen.observed}, expected {seen.expected}" for claim, seen in evidence if not seen.passed]
    if wrong:
        raise AssertionError(f"{init} does not draw {distribution}:\n" + "\n".join(wrong))
