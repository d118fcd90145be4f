"""How good are standard normals in narrow dtypes, beside jax.nn.initializers and torch?

Three figures for 1, 4 and 16 million draws: how many values occur, the largest in standard
deviations, and how many standard errors the mean is from 0 (beyond 4 is a fault).
"""

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import torch
from jax.nn import initializers as jax_init
from torch.nn import init as torch_init

import jaxinit

DTYPES = ("bfloat16", "float16", "float8_e4m3fn")
SIZES = (2**20, 2**22, 2**24)


def from_torch(dtype: str, size: int) -> np.ndarray:
    return torch_init.normal_(torch.empty(size, dtype=getattr(torch, dtype))).float().numpy()


def from_jaxinit(dtype: str, size: int) -> np.ndarray:
    return np.asarray(jaxinit.normal()(jax.random.key(0), (size,), getattr(jnp, dtype)).astype(jnp.float32))


def from_jax(dtype: str, size: int) -> np.ndarray:
    return np.asarray(jax_init.normal(1.0)(jax.random.key(0), (size,), getattr(jnp, dtype)).astype(jnp.float32))


def figures(draw: Callable[[str, int], np.ndarray], dtype: str, size: int) -> str:
    try:
        x = draw(dtype, size)
    except NotImplementedError:  # torch draws no float8
        return "refuses"
    nans = int(np.isnan(x).sum())
    x = x[~np.isnan(x)]
    std = x.std(dtype=np.float64)
    errors = x.mean(dtype=np.float64) / (std / math.sqrt(x.size))
    noted = f", {nans} NaN" if nans else ""
    return f"{np.unique(x).size} values, max {abs(x).max() / std:.2f} std, mean {errors:+.1f} s.e.{noted}"


def main() -> None:
    torch.manual_seed(0)
    print("| normal() | torch | jaxinit | jax.nn.initializers |")
    print("|---|---|---|---|")
    for dtype in DTYPES:
        for size in SIZES:
            cells = [figures(draw, dtype, size) for draw in (from_torch, from_jaxinit, from_jax)]
            print(f"| {dtype}, {size // 2**20}M |", " | ".join(cells), "|", flush=True)


if __name__ == "__main__":
    main()
