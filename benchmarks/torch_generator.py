"""Compare the speed, the memory and the bits of `jaxinit.TorchGenerator` with torch's own generator.

Speed: one draw of 16 million numbers, torch and jaxinit in turn, round by round. Printed is
the median of torch's time over jaxinit's, with the quartiles in brackets. Above 1, jaxinit is
faster. Memory: the most that NumPy holds during a draw, over the size of the result.

Equality: how many of 4 million numbers differ from torch's, for each level of instructions
that torch can be told to use. With `all`, each of the 2**24 arguments of log, cos and sin is
tried too, which takes a minute.

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

ours, theirs = jaxinit.TorchGenerator(0), torch.Generator()

CASES: dict[str, tuple[Callable[[], np.ndarray], Draw]] = {
    "normal": (lambda: ours.normal(0, 1, (SIZE,)), lambda: torch.empty(SIZE).normal_(generator=theirs)),
    "normal(0.1, 0.5)": (
        lambda: ours.normal(0.1, 0.5, (SIZE,)),
        lambda: torch.empty(SIZE).normal_(0.1, 0.5, generator=theirs),
    ),
    "normal, float64": (
        lambda: ours.normal(0, 1, (SIZE,), "float64"),
        lambda: torch.empty(SIZE, dtype=torch.float64).normal_(generator=theirs),
    ),
    "normal, bfloat16": (
        lambda: ours.normal(0, 1, (SIZE,), "bfloat16"),
        lambda: torch.empty(SIZE, dtype=torch.bfloat16).normal_(generator=theirs),
    ),
    "uniform(0, 1)": (lambda: ours.uniform(0, 1, (SIZE,)), lambda: torch.empty(SIZE).uniform_(generator=theirs)),
    "uniform(-0.1, 0.7)": (
        lambda: ours.uniform(-0.1, 0.7, (SIZE,)),
        lambda: torch.empty(SIZE).uniform_(-0.1, 0.7, generator=theirs),
    ),
    "trunc_normal": (
        lambda: ours.trunc_normal(0, 1, -2, 2, (SIZE,)),
        lambda: torch.nn.init.trunc_normal_(torch.empty(SIZE), generator=theirs),
    ),
}

Numbers = tuple[str, float, float]
NORMALS: list[Numbers] = [
    ("float32", 0.0, 1.0), ("float32", 0.3, 0.7), ("float64", 0.0, 1.0), ("float16", 0.0, 1.0), ("bfloat16", 0.0, 1.0),
]  # fmt: skip


def seconds(draw: Draw) -> float:
    start = time.perf_counter()
    draw()
    return time.perf_counter() - start


def ratio(draw: Draw, other: Draw, rounds: int) -> str:
    """Return torch's time over jaxinit's: median and quartiles."""
    low, middle, high = statistics.quantiles((seconds(other) / seconds(draw) for _ in range(rounds)), n=4)
    return f"{middle:.2f} ({low:.2f} to {high:.2f})"


def peak(draw: Callable[[], np.ndarray]) -> float:
    """Return the most bytes that NumPy held at once, over those of the result."""
    tracemalloc.start()
    size = draw().nbytes
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return most / size


def print_speed(rounds: int) -> None:
    print(f"| {SIZE} numbers | speed over torch's | peak memory over the result |\n|---|---|---|")
    for name, (draw, other) in CASES.items():
        print(f"| {name} | {ratio(draw, other, rounds)} | {peak(draw):.2f} |", flush=True)


def print_equality() -> None:
    """Print one row of the table of equality, for the level of instructions of this process."""
    size, cells = 2**22, []
    for dtype, mean, std in NORMALS:
        tensor = torch.empty(size, dtype=getattr(torch, dtype)).normal_(mean, std, generator=theirs.manual_seed(7))
        drawn = ours.manual_seed(7).normal(mean, std, (size,), dtype)
        cells.append((drawn.astype(np.float64) != tensor.double().numpy()).sum())
    uniform = torch.empty(size).uniform_(-0.1, 0.7, generator=theirs.manual_seed(7)).numpy()
    cells.append((ours.manual_seed(7).uniform(-0.1, 0.7, (size,)) != uniform).sum())
    print(f"| {torch.backends.cpu.get_cpu_capability()} | {' | '.join(map(str, cells))} |", flush=True)


def print_every_argument() -> None:
    from tests.jaxinit.torch_generator.test_avx_math import polynomials_differ

    points = np.resize(np.arange(2**24), -(-(2**24) // 304) * 304)
    print(f"\nof all 2**24 arguments, radii, cosines and sines that differ from torch's: {polynomials_differ(points)}")


def main() -> None:
    print_speed(next((int(word) for word in sys.argv[1:] if word.isdigit()), 15))
    columns = [f"normal({mean}, {std}), {dtype}" for dtype, mean, std in NORMALS]
    print(f"\n| numbers of 2**22 that differ | {' | '.join(columns)} | uniform(-0.1, 0.7) |")
    print(f"|{'---|' * (len(columns) + 2)}", flush=True)
    for level in ("avx512", "avx2", "default"):
        command = [sys.executable, __file__, "--equality"]
        subprocess.run(command, env=os.environ | {"ATEN_CPU_CAPABILITY": level}, check=True)
    if "all" in sys.argv:
        print_every_argument()


if __name__ == "__main__":
    print_equality() if "--equality" in sys.argv else main()
