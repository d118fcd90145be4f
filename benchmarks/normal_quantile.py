"""Where do the coefficients of jaxinit/quantiles.py come from? Fits them anew and checks the shipped ones.

With x = P(|Z| < z) and s = sqrt(-log(1 - x^2)), z / x is a smooth function of s, from
sqrt(pi / 2) at 0. It is fitted by a ratio of polynomials of degrees 9 and 8 on [0, 7.5],
in 50 digits, by Lawson's method: a least-squares fit, linear once multiplied by the last
denominator, repeated with weights that grow where the relative error is large. Errors
beyond s = 4.7, which float32 hardly reaches, count 0.3.
"""

import mpmath as mp

from jaxinit._sampling import normal_quantile

END, SPLIT, BEYOND = mp.mpf("7.5"), mp.mpf("4.7"), mp.mpf("0.3")
ABOVE, BELOW = 9, 8
NODES, ROUNDS = 200, 25
mp.mp.dps = 50


def scaled_quantile(s: mp.mpf) -> mp.mpf:
    """z / x, by Newton on the logarithm of the tail where the tail is thin."""
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


def polynomial(coefficients: list[mp.mpf], t: mp.mpf) -> mp.mpf:
    return mp.polyval(coefficients[::-1], t)


def solve(nodes: list[mp.mpf], wanted: list[mp.mpf], weights: list[mp.mpf]) -> tuple[list[mp.mpf], list[mp.mpf]]:
    """One weighted least-squares fit of above(t) - wanted * below(t), with below(0) = 1."""
    matrix, right = mp.matrix(len(nodes), ABOVE + BELOW + 1), mp.matrix(len(nodes), 1)
    for row, (t, y, weight) in enumerate(zip(nodes, wanted, weights, strict=True)):
        for power in range(ABOVE + 1):
            matrix[row, power] = weight * t**power
        for power in range(1, BELOW + 1):
            matrix[row, ABOVE + power] = -weight * y * t**power
        right[row] = weight * y
    solution = list(mp.lu_solve(matrix, right))
    return solution[: ABOVE + 1], [mp.mpf(1), *solution[ABOVE + 1 :]]


def fit(points: list[mp.mpf], wanted: list[mp.mpf]) -> tuple[list[mp.mpf], list[mp.mpf]]:
    """The best of Lawson's rounds, as coefficients of s."""
    nodes = [s / END for s in points]
    importance = [(1 if s <= SPLIT else BEYOND) / y for s, y in zip(points, wanted, strict=True)]
    lawson, last = [mp.mpf(1)] * len(nodes), [mp.mpf(1)] * len(nodes)
    best = (mp.inf, [mp.mpf(0)], [mp.mpf(1)])
    for _ in range(ROUNDS):
        weights = [i / d * mp.sqrt(w) for i, d, w in zip(importance, last, lawson, strict=True)]
        above, below = solve(nodes, wanted, weights)
        last = [abs(polynomial(below, t)) for t in nodes]
        errors = [
            i * abs(polynomial(above, t) / polynomial(below, t) - y)
            for i, t, y in zip(importance, nodes, wanted, strict=True)
        ]
        best = min(best, (max(errors), above, below), key=lambda found: found[0])
        lawson = [w * (error / max(errors) + mp.mpf("0.01")) for w, error in zip(lawson, errors, strict=True)]
        mean = mp.fsum(lawson) / len(lawson)
        lawson = [w / mean for w in lawson]
    above, below = ([c / END**power for power, c in enumerate(part)] for part in best[1:])
    return above, below


def largest_errors(above: list[mp.mpf], below: list[mp.mpf]) -> str:
    """The largest relative error on a grid that the fit has not seen, on both sides of the split."""
    grid = [END * step / 600 for step in range(1, 601)]
    errors = [(s, abs(polynomial(above, s) / polynomial(below, s) / scaled_quantile(s) - 1)) for s in grid]
    near, far = max(e for s, e in errors if s <= SPLIT), max(e for _, e in errors)
    return f"{mp.nstr(near, 3)} for s <= {mp.nstr(SPLIT, 2)}, {mp.nstr(far, 3)} for s <= {mp.nstr(END, 2)}"


def main() -> None:
    points = [END / 2 * (1 - mp.cos(mp.pi * (2 * node + 1) / (2 * NODES))) for node in range(NODES)]
    above, below = fit(points, [scaled_quantile(s) for s in points])
    shipped = [[mp.mpf(c) for c in part] for part in (normal_quantile._NUMERATOR, normal_quantile._DENOMINATOR)]
    for name, fitted, used in [("numerator", above, shipped[0]), ("denominator", below, shipped[1])]:
        print(name)
        for power, (new, old) in enumerate(zip(fitted, used, strict=True)):
            print(f"  s^{power}  {float(new)!r:>24}  shipped {float(old)!r:>24}")
    print("largest relative error, fitted:", largest_errors(above, below))
    print("largest relative error, shipped:", largest_errors(*shipped))


if __name__ == "__main__":
    main()
