"""What does one name give in torch, in jaxinit and in JAX? Prints the table of the README.

Every cell is measured on an array drawn here, but for the largest possible normal, which
follows from how each library turns its random bits into numbers. Flax stands in the last
column where the row is a layer.
"""

import math
import warnings
from collections.abc import Callable
from typing import NamedTuple

import flax.linen
import jax
import jax.numpy as jnp
import numpy as np
import torch
from jax.nn import initializers as jax_init
from torch.nn import init as torch_init

import jaxinit
from jaxinit import distributions
from jaxinit._sampling import kernels

KEY = jax.random.key(0)
SIDE = (1024, 1024)
MANY = (2048, 2048)
Draw = Callable[[], object]


class Row(NamedTuple):
    """One line of the table: how to draw in each library and what to say about the values."""

    call: str
    show: Callable[..., str]
    torch: Draw | None
    jaxinit: Draw | None
    jax: Draw | None


def values(array: object) -> np.ndarray:
    """Any library's array in float64."""
    if isinstance(array, torch.Tensor):
        return array.detach().double().numpy()
    return np.asarray(array).astype(np.float64)


def spread(x: np.ndarray) -> str:
    return f"std {x.std():.3g}, max {abs(x).max():.2g}"


def in_stds(x: np.ndarray) -> str:
    return f"std {x.std():.3g}, max {abs(x).max() / x.std():.2g} std"


def interval(x: np.ndarray) -> str:
    return f"{x.min():.2f} to {x.max():.2f}"


def precision(x: np.ndarray) -> str:
    if np.isnan(x).any():
        return f"{np.isnan(x).mean():.2%} NaN"
    errors = x.mean() / (x.std() / math.sqrt(x.size))
    return f"{np.unique(x).size} values, max {abs(x).max() / x.std():.2g} std, mean {errors:+.1f} s.e."


def distinct(x: np.ndarray) -> str:
    return f"{np.unique(x).size} distinct"


def deviation(x: np.ndarray) -> str:
    return f"QQᵀ is 1 within {abs(x @ x.T - np.eye(len(x))).max():.1g}"


def layer(weight: object, bias: object) -> str:
    return f"weight std {values(weight).std():.3f}, bias max {abs(values(bias)).max():.3f}"


def exists(_: np.ndarray) -> str:
    return "yes"


def extremes(x: np.ndarray) -> str:
    return f"{x.min():.2f} and {x.max():+.2f}"


def blank(shape: tuple[int, ...] = SIDE, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return torch.empty(shape, dtype=dtype)


def cell(row: Row, draw: Draw | None) -> str:
    """What `row` says of one library's draw: also that it refuses, or has no such function."""
    if draw is None:
        return "absent"
    try:
        drawn = draw()
    except (NotImplementedError, TypeError, ValueError):  # each library refuses in its own way
        return "refuses"
    return row.show(*drawn) if isinstance(drawn, tuple) else row.show(values(drawn))


def torch_extremes() -> np.ndarray:
    """Box-Muller's radius for the least uniform above 0, 2^-24."""
    radius = math.sqrt(-2 * math.log(2.0**-24))
    return np.array([-radius, radius])


def jaxinit_extremes() -> jax.Array:
    """The kernel at the first and the last 32-bit word."""
    real = np.dtype(np.float32)
    kernel, numbers = kernels.select(distributions.Normal(0.0, 1.0), real)
    words = jnp.array([0, 2**32 - 1], jnp.uint32)
    operands = (jnp.uint32(n) if isinstance(n, int) else jnp.float32(n) for n in numbers)
    return kernel(words, *operands)


def jax_extremes() -> jax.Array:
    """jax.random.normal at the first and the last of its 2^23 uniforms."""
    low = jnp.nextafter(jnp.float32(-1), jnp.float32(0))
    uniform = jnp.array([0, 1 - 2.0**-23], jnp.float32) * (jnp.float32(1) - low) + low
    return jnp.float32(math.sqrt(2)) * jax.lax.erf_inv(jnp.maximum(low, uniform))


def low_precision(name: str) -> Row:
    """Four million standard normals in a narrow dtype."""
    dtype = getattr(jnp, name)
    return Row(
        f"`normal()` in {name}",
        precision,
        lambda: torch_init.normal_(blank(MANY, getattr(torch, name))),
        lambda: jaxinit.normal()(KEY, MANY, dtype),
        lambda: jax_init.normal(1.0)(KEY, MANY, dtype),
    )


def linear_of_torch() -> tuple[object, object]:
    linear = torch.nn.Linear(64, 256)
    return linear.weight, linear.bias


def linear_of_flax(**how: jaxinit.Initializer) -> tuple[object, object]:
    params = flax.linen.Dense(256, **how).init(KEY, jnp.ones((1, 64)))["params"]
    return params["kernel"], params["bias"]


def rows() -> list[Row]:
    """The table, top to bottom."""
    as_in_torch = {
        "kernel_init": jaxinit.kaiming_uniform(a=math.sqrt(5)),
        "bias_init": jaxinit.uniform(-1 / math.sqrt(64), 1 / math.sqrt(64)),
    }
    transposed = jaxinit.kaiming_normal(layout=jaxinit.FLAX_CONV_TRANSPOSE)
    return [
        Row("`uniform()`", interval, lambda: torch_init.uniform_(blank()),
            lambda: jaxinit.uniform()(KEY, SIDE), lambda: jax_init.uniform()(KEY, SIDE)),
        Row("`normal()`", spread, lambda: torch_init.normal_(blank()),
            lambda: jaxinit.normal()(KEY, SIDE), lambda: jax_init.normal()(KEY, SIDE)),
        Row("`trunc_normal(std=0.02)`", spread, lambda: torch_init.trunc_normal_(blank(), std=0.02),
            lambda: jaxinit.trunc_normal(std=0.02)(KEY, SIDE), lambda: jax_init.truncated_normal(0.02)(KEY, SIDE)),
        Row("`kaiming_normal()`", in_stds, lambda: torch_init.kaiming_normal_(blank()),
            lambda: jaxinit.kaiming_normal()(KEY, SIDE), lambda: jax_init.kaiming_normal()(KEY, SIDE)),
        Row("`kaiming_normal()`, transposed conv 32 to 64, 3 x 3", spread,
            lambda: torch_init.kaiming_normal_(torch.nn.ConvTranspose2d(32, 64, 3).weight),
            lambda: transposed(KEY, (3, 3, 32, 64)), lambda: jax_init.kaiming_normal()(KEY, (3, 3, 32, 64))),
        Row("default dense layer, 64 to 256", layer, linear_of_torch,
            lambda: linear_of_flax(**as_in_torch), linear_of_flax),
        Row("default embedding, 1000 x 64", spread, lambda: torch.nn.Embedding(1000, 64).weight,
            lambda: jaxinit.normal()(KEY, (1000, 64)),
            lambda: flax.linen.Embed(1000, 64).init(KEY, jnp.zeros(1, int))["params"]["embedding"]),
        low_precision("bfloat16"),
        low_precision("float16"),
        low_precision("float8_e4m3fn"),
        Row("least and largest float32 normal possible", extremes, torch_extremes, jaxinit_extremes, jax_extremes),
        Row("`trunc_normal(0, 1, 5, 6)`, 100000 draws", distinct,
            lambda: torch_init.trunc_normal_(blank((100_000,)), 0, 1, 5, 6),
            lambda: jaxinit.trunc_normal(0, 1, 5, 6)(KEY, (100_000,)),
            lambda: jax_init.truncated_normal(1.0, lower=5.0, upper=6.0)(KEY, (100_000,))),
        Row("`orthogonal()` in bfloat16", deviation,
            lambda: torch_init.orthogonal_(blank((64, 64), torch.bfloat16)),
            lambda: jaxinit.orthogonal()(KEY, (64, 64), jnp.bfloat16),
            lambda: jax_init.orthogonal()(KEY, (64, 64), jnp.bfloat16)),
        Row("`sparse(0.1)`", exists, lambda: torch_init.sparse_(blank(), 0.1),
            lambda: jaxinit.sparse(0.1)(KEY, SIDE), getattr(jax_init, "sparse", None)),
        Row("`eye()`", exists, lambda: torch_init.eye_(blank()),
            lambda: jaxinit.eye()(KEY, SIDE), getattr(jax_init, "eye", None)),
        Row("`dirac(groups=2)`", exists, lambda: torch_init.dirac_(blank((8, 4, 3)), 2),
            lambda: jaxinit.dirac(2)(KEY, (3, 4, 8)), getattr(jax_init, "dirac", None)),
    ]  # fmt: skip


def main() -> None:
    torch.manual_seed(0)
    warnings.filterwarnings("ignore", "mean is more than 2 std")  # torch is right there all the same
    print("| call | torch | jaxinit | jax.nn.initializers (layers: Flax) |")
    print("|---|---|---|---|")
    for row in rows():
        print("|", " | ".join([row.call, *(cell(row, draw) for draw in (row.torch, row.jaxinit, row.jax))]), "|")


if __name__ == "__main__":
    main()
