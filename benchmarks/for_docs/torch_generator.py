"""Count the numbers of `jaxinit.TorchGenerator` that differ from torch's.

Of 4 million numbers, for each level of instructions that torch can be told to use. With
`all`, each of the 2**24 arguments of log, cos and sin is tried too, which takes a minute.

Run: python benchmarks/for_docs/torch_generator.py [all]
"""

import os
import subprocess
import sys

import numpy as np
import torch

import jaxinit

ours, theirs = jaxinit.TorchGenerator(0), torch.Generator()

Numbers = tuple[str, float, float]
NORMALS: list[Numbers] = [
    ("float32", 0.0, 1.0), ("float32", 0.3, 0.7), ("float64", 0.0, 1.0), ("float16", 0.0, 1.0), ("bfloat16", 0.0, 1.0),
]  # fmt: skip


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
    columns = [f"normal({mean}, {std}), {dtype}" for dtype, mean, std in NORMALS]
    print(f"| numbers of 2**22 that differ | {' | '.join(columns)} | uniform(-0.1, 0.7) |")
    print(f"|{'---|' * (len(columns) + 2)}", flush=True)
    for level in ("avx512", "avx2", "default"):
        command = [sys.executable, __file__, "--equality"]
        subprocess.run(command, env=os.environ | {"ATEN_CPU_CAPABILITY": level}, check=True)
    if "all" in sys.argv:
        print_every_argument()


if __name__ == "__main__":
    print_equality() if "--equality" in sys.argv else main()
