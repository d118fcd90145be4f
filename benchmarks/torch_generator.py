"""How fast, how lean and how equal are the numbers of `jaxinit.TorchGenerator`, beside torch's own?

Speed: 16 million float32 a draw, the contenders in turn, round by round; printed is torch's
time over jaxinit's, so that above 1 jaxinit is faster: the median with the quartiles in
brackets. Memory: the most that a draw of ours holds at once, over the size of the result.

Equality: the share of 4 million draws that is torch's to the bit, and the largest
difference in 2**-20 standard deviations, for each level of instructions that torch can be
told to keep to. With `all`, every argument of log, cos and sin is tried (a minute).

Run: python benchmarks/torch_generator.py [rounds] [all]
"""

import os
import statistics
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Callable

import numpy as np
import torch

import jaxinit

SIZE = 2**24
Draw = Callable[[], object]

quick, exact, theirs = jaxinit.TorchGenerator(0), jaxinit.TorchGenerator(0, exact=True), torch.Generator()

CASES: dict[str, tuple[Draw, Draw]] = {
    "uniform(0, 1)": (lambda: quick.uniform(0, 1, (SIZE,)), lambda: torch.empty(SIZE).uniform_(generator=theirs)),
    "uniform(-b, b)": (
        lambda: quick.uniform(-0.3, 0.3, (SIZE,)),
        lambda: torch.empty(SIZE).uniform_(-0.3, 0.3, generator=theirs),
    ),
    "uniform(-0.1, 0.7)": (
        lambda: quick.uniform(-0.1, 0.7, (SIZE,)),
        lambda: torch.empty(SIZE).uniform_(-0.1, 0.7, generator=theirs),
    ),
    "normal": (lambda: quick.normal(0, 1, (SIZE,)), lambda: torch.empty(SIZE).normal_(generator=theirs)),
    "normal, exact": (lambda: exact.normal(0, 1, (SIZE,)), lambda: torch.empty(SIZE).normal_(generator=theirs)),
    "trunc_normal": (
        lambda: quick.trunc_normal(0, 1, -2, 2, (SIZE,)),
        lambda: torch.nn.init.trunc_normal_(torch.empty(SIZE), generator=theirs),
    ),
}


def seconds(draw: Draw) -> float:
    start = time.perf_counter()
    draw()
    return time.perf_counter() - start


def ratio(ours: Draw, others: Draw, rounds: int) -> str:
    """torch's time over jaxinit's: median and quartiles."""
    low, middle, high = statistics.quantiles((seconds(others) / seconds(ours) for _ in range(rounds)), n=4)
    return f"{middle:.2f} ({low:.2f} to {high:.2f})"


def peak(draw: Draw) -> float:
    """The most bytes that NumPy held at once, over those of the result."""
    tracemalloc.start()
    draw()
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return most / (4 * SIZE)


def print_speed(rounds: int) -> None:
    default = torch.get_num_threads()
    print(f"| draw of {SIZE} float32 | speed to torch on 1 thread | on {default} threads | peak memory / result |")
    print("|---|---|---|---|")
    for name, (ours, others) in CASES.items():
        ratios = []
        for threads in (1, default):
            torch.set_num_threads(threads)
            ratios.append(ratio(ours, others, rounds))
        print(f"| {name} | {ratios[0]} | {ratios[1]} | {peak(ours):.2f} |", flush=True)


def print_equality() -> None:
    """One row of the table of equality, for the level that this process runs at."""
    size, cells = 2**22, []
    for generator in (quick, exact):
        for mean, std in ((0.0, 1.0), (0.3, 0.7)):
            generator.manual_seed(7)
            expected = torch.empty(size).normal_(mean, std, generator=theirs.manual_seed(7)).numpy()
            drawn = generator.normal(mean, std, (size,))
            error = np.abs(drawn.astype(np.float64) - expected).max() / std * 2**20
            cells.append(f"{(drawn == expected).mean():.6f}, {error:.2f}")
    uniform = torch.empty(size).uniform_(-0.1, 0.7, generator=theirs.manual_seed(7)).numpy()
    cells.append(f"{(quick.manual_seed(7).uniform(-0.1, 0.7, (size,)) == uniform).mean():.6f}")
    print(f"| {torch.backends.cpu.get_cpu_capability()} | {' | '.join(cells)} |", flush=True)


def print_every_argument() -> None:
    from tests.jaxinit.torch_generator.test_avx_math import polynomials_differ

    points = np.resize(np.arange(2**24), -(-(2**24) // 304) * 304)
    print(f"\nof all 2**24 arguments, radii, cosines and sines that differ from torch's: {polynomials_differ(points)}")


def main() -> None:
    print_speed(next((int(word) for word in sys.argv[1:] if word.isdigit()), 15))
    print("\n| torch's level | normal(0, 1) | normal(0.3, 0.7) | exact | exact | uniform(-0.1, 0.7) |")
    print("|---|---|---|---|---|---|", flush=True)
    for level in ("avx512", "avx2", "default"):
        command = [sys.executable, __file__, "--equality"]
        subprocess.run(command, env=os.environ | {"ATEN_CPU_CAPABILITY": level}, check=True)
    if "all" in sys.argv:
        print_every_argument()


if __name__ == "__main__":
    print_equality() if "--equality" in sys.argv else main()
