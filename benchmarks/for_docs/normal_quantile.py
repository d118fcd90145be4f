"""Where do the coefficients of the normal quantile come from? Fits them again and checks the shipped ones.

With x = P(|Z| < z) and s = sqrt(-log(1 - x^2)), z / x is a smooth function of s, from
sqrt(pi / 2) at 0. It is fitted by a ratio of polynomials in s - CENTER, in 70 digits, by
Lawson's method: a least-squares fit, linear once multiplied by the last denominator,
repeated with weights that grow where the relative error is large. For float32, errors
beyond s = 4.72, which few draws reach, count 0.3. The polynomial of the logarithm is fitted
by Chebyshev's interpolation.
"""

from collections.abc import Sequence
from typing import NamedTuple

import jax.numpy as jnp
import mpmath as mp

from jaxinit._sampling import normal_quantile

mp.mp.dps = 70


class Task(NamedTuple):
    """A fit on [0, end] by a ratio of polynomials of degrees `above` and `below`."""

    dtype: str
    end: mp.mpf
    split: mp.mpf
    beyond: mp.mpf
    above: int
    below: int
    nodes: int
    rounds: int


TASKS = (
    Task("float32", mp.mpf("5.7"), mp.mpf("4.72"), mp.mpf("0.3"), 7, 7, 100, 20),
    Task("float64", mp.mpf("7.5"), mp.mpf("7.5"), mp.mpf(1), 18, 17, 140, 14),
)
CENTER = mp.mpf(normal_quantile.CENTER)


def scaled_quantile(s: mp.mpf) -> mp.mpf:
    """Return z / x, by Newton on the logarithm of the tail where the tail is thin."""
    product = mp.exp(-s * s)
    x = mp.sqrt(1 - product)
    tail = product / (1 + x)
    if tail > mp.mpf("1e-3"):
        return mp.sqrt(2) * mp.erfinv(x) / x
    z = mp.sqrt(2) * s
    for _ in range(60):
        outside = mp.erfc(z / mp.sqrt(2))
        slope = mp.sqrt(2 / mp.pi) * mp.exp(-z * z / 2) / outside
        step = mp.log(outside / tail) / slope
        z += step
        if abs(step) < mp.mpf(10) ** -40:
            break
    return z / x


def polynomial(coefficients: Sequence[mp.mpf | float], t: mp.mpf) -> mp.mpf:
    return mp.polyval(coefficients[::-1], t)


def solve(
    task: Task, nodes: list[mp.mpf], wanted: list[mp.mpf], weights: list[mp.mpf]
) -> tuple[list[mp.mpf], list[mp.mpf]]:
    """Return one weighted least-squares fit of above(t) - wanted * below(t), with below(0) = 1."""
    matrix, right = mp.matrix(len(nodes), task.above + task.below + 1), mp.matrix(len(nodes), 1)
    for row, (t, y, weight) in enumerate(zip(nodes, wanted, weights, strict=True)):
        for power in range(task.above + 1):
            matrix[row, power] = weight * t**power
        for power in range(1, task.below + 1):
            matrix[row, task.above + power] = -weight * y * t**power
        right[row] = weight * y
    solution = list(mp.lu_solve(matrix, right))
    return solution[: task.above + 1], [mp.mpf(1), *solution[task.above + 1 :]]


def fit(task: Task) -> tuple[list[mp.mpf], list[mp.mpf]]:
    """Return the best of Lawson's rounds, as coefficients of s - CENTER."""
    angles = [mp.pi * (2 * node + 1) / (2 * task.nodes) for node in range(task.nodes)]
    points = [task.end / 2 * (1 - mp.cos(angle)) for angle in angles]
    wanted, scale = [scaled_quantile(s) for s in points], max(CENTER, task.end - CENTER)
    nodes = [(s - CENTER) / scale for s in points]
    importance = [(1 if s <= task.split else task.beyond) / y for s, y in zip(points, wanted, strict=True)]
    lawson, last = [mp.mpf(1)] * len(nodes), [mp.mpf(1)] * len(nodes)
    best = (mp.inf, [mp.mpf(0)], [mp.mpf(1)])
    for _ in range(task.rounds):
        weights = [i / d * mp.sqrt(w) for i, d, w in zip(importance, last, lawson, strict=True)]
        above, below = solve(task, nodes, wanted, weights)
        last = [abs(polynomial(below, t)) for t in nodes]
        errors = [
            i * abs(polynomial(above, t) / polynomial(below, t) - y)
            for i, t, y in zip(importance, nodes, wanted, strict=True)
        ]
        best = min(best, (max(errors), above, below), key=lambda found: found[0])
        lawson = [w * (error / max(errors) + mp.mpf("0.01")) for w, error in zip(lawson, errors, strict=True)]
        mean = mp.fsum(lawson) / len(lawson)
        lawson = [w / mean for w in lawson]
    above, below = ([c / scale**power for power, c in enumerate(part)] for part in best[1:])
    return above, below


def largest_errors(task: Task, above: list[mp.mpf], below: list[mp.mpf]) -> str:
    """Return the largest relative errors on a grid that the fit has not seen, on both sides of the split."""
    grid = [task.end * step / 600 for step in range(1, 601)]
    errors = [
        (s, abs(polynomial(above, s - CENTER) / polynomial(below, s - CENTER) / scaled_quantile(s) - 1)) for s in grid
    ]
    near, far = max(e for s, e in errors if s <= task.split), max(e for _, e in errors)
    return f"{mp.nstr(near, 3)} for s <= {mp.nstr(task.split, 3)}, {mp.nstr(far, 3)} for s <= {mp.nstr(task.end, 2)}"


def logarithm(dtype: str) -> None:
    """Fit (log(1 + f) - f) / f^2, and print the error relative to log(1 + f)."""

    def wanted(f: mp.mpf) -> mp.mpf:
        return (mp.log1p(f) - f) / f**2 if f else -mp.mpf(1) / 2

    shipped = normal_quantile.LOG[jnp.dtype(dtype)]
    ends = [mp.sqrt(mp.mpf(1) / 2) - 1, mp.sqrt(mp.mpf(2)) - 1]
    fitted = mp.chebyfit(wanted, ends, len(shipped))[::-1]
    print(dtype, "logarithm")
    for power, (one, other) in enumerate(zip(fitted, shipped, strict=True)):
        print(f"  f^{power:<2}  {float(one)!r:>24}  shipped {other!r:>24}")
    grid = [f for f in mp.linspace(*ends, 401) if f]
    error = max(abs((polynomial(shipped, f) - wanted(f)) * f * f / mp.log1p(f)) for f in grid)
    print("largest relative error, shipped:", mp.nstr(error, 3))


def main() -> None:
    for dtype in normal_quantile.LOG:
        logarithm(str(dtype))
    for task in TASKS:
        fitted = fit(task)
        shipped = [[mp.mpf(c) for c in part] for part in normal_quantile.RATIOS[jnp.dtype(task.dtype)]]
        for name, new, old in zip(("numerator", "denominator"), fitted, shipped, strict=True):
            print(task.dtype, name)
            for power, (one, other) in enumerate(zip(new, old, strict=True)):
                print(f"  (s - {float(CENTER)})^{power:<2}  {float(one)!r:>24}  shipped {float(other)!r:>24}")
        print("largest relative error, fitted:", largest_errors(task, *fitted))
        print("largest relative error, shipped:", largest_errors(task, *shipped))


if __name__ == "__main__":
    main()
