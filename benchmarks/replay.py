"""How fast does `jaxinit.TorchGenerator` draw torch's numbers, and with how much memory?

The memory is the most that NumPy holds during a draw. Two threads share a large draw, and
torch draws in one.

Run: python benchmarks/replay.py [--quick] [--out DIR]
"""

import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import turns

import jaxinit

SIZE = 2**24
SECONDS = 1.5  # for each row
DRAWS: dict[str, tuple[str, tuple[float, ...], str]] = {
    "normal(0, 1), float32": ("normal", (0, 1), "float32"),
    "normal(0.1, 0.5), float32": ("normal", (0.1, 0.5), "float32"),
    "normal(0, 1), float64": ("normal", (0, 1), "float64"),
    "normal(0, 1), bfloat16": ("normal", (0, 1), "bfloat16"),
    "uniform(0, 1), float32": ("uniform", (0, 1), "float32"),
    "uniform(-0.1, 0.7), float32": ("uniform", (-0.1, 0.7), "float32"),
    "trunc_normal(0, 1, -2, 2), float32": ("trunc_normal", (0, 1, -2, 2), "float32"),
}
Draw = Callable[[], Any]


def contenders(name: str, numbers: tuple[float, ...], dtype: str, size: int) -> dict[str, Draw]:
    ours, theirs = jaxinit.TorchGenerator(0), torch.Generator()
    fill = getattr(torch.nn.init, f"{name}_")
    return {
        "jaxinit": lambda: getattr(ours, name)(*numbers, (size,), dtype),
        "torch": lambda: fill(torch.empty(size, dtype=getattr(torch, dtype)), *numbers, generator=theirs),
    }


def peak(draw: Callable[[], np.ndarray]) -> float:
    """Return the most bytes that NumPy held at once, over those of the result."""
    tracemalloc.start()
    size = draw().nbytes
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return most / size


def main() -> None:
    is_quick = turns.arguments().quick
    rows, figures = [], {}
    for label, draw in DRAWS.items():
        both = contenders(*draw, 2**10 if is_quick else SIZE)
        times = turns.take_turns(both, 0.0 if is_quick else SECONDS)
        memory = peak(both["jaxinit"])
        rows.append((label, turns.speed(times, "torch"), f"{memory:.2f}"))
        figures[label] = {"times": times, "memory": memory}
    turns.publish("replay", ("16 million numbers", "speed over torch", "memory over the result"), rows, figures)


if __name__ == "__main__":
    main()
