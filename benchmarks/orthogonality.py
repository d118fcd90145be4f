"""How far is an orthogonal matrix from orthogonal: the largest entry of Q'Q - 1, by dtype and size?

Run: python benchmarks/orthogonality.py [--quick] [--out DIR]
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import torch
import turns

import jaxinit

DTYPES = ("float64", "float32", "float16", "bfloat16")
SHAPES = ((64, 64), (512, 512), (2048, 2048), (4096, 512))
Shape = tuple[int, int]


def jaxinit_draw(shape: Shape, dtype: str) -> np.ndarray:
    with jax.enable_x64(dtype == "float64"):
        return np.asarray(jaxinit.orthogonal()(jax.random.key(0), shape, jnp.dtype(dtype)))


def torch_draw(shape: Shape, dtype: str) -> np.ndarray:
    drawn: np.ndarray = torch.nn.init.orthogonal_(torch.empty(shape, dtype=getattr(torch, dtype))).numpy()
    return drawn


def deviation(draw: Callable[[Shape, str], np.ndarray], shape: Shape, dtype: str) -> float:
    q = draw(shape, dtype).astype(np.float64)
    return float(abs(q.T @ q - np.eye(shape[1])).max())


def main() -> None:
    rows, figures = [], {}
    for shape in SHAPES[:1] if turns.arguments().quick else SHAPES:
        ours = {f"jaxinit, {dtype}": deviation(jaxinit_draw, shape, dtype) for dtype in DTYPES}
        theirs = {f"torch, {dtype}": deviation(torch_draw, shape, dtype) for dtype in DTYPES[:2]}
        figures[f"{shape[0]} x {shape[1]}"] = found = ours | theirs
        rows.append((f"{shape[0]} x {shape[1]}", *(f"{value:.1e}" for value in found.values())))
    turns.publish("orthogonality", ("largest of abs(Q'Q - 1)", *found), rows, figures)


if __name__ == "__main__":
    main()
