"""How fast is a draw under jit, beside jax.nn.initializers and torch?

Run: python benchmarks/throughput.py [--quick] [--out DIR]
"""

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
import torch
import turns
from jax.nn import initializers as jax_init
from torch.nn import init as torch_init

import jaxinit

SECONDS = 2.0  # for each row
ELEMENTWISE = {
    "uniform": jax_init.uniform(1.0),
    "normal": jax_init.normal(1.0),
    "trunc_normal": jax_init.truncated_normal(1.0),
    "xavier_uniform": jax_init.xavier_uniform(),
    "xavier_normal": jax_init.xavier_normal(),
    "kaiming_uniform": jax_init.he_uniform(),
    "kaiming_normal": jax_init.normal(1.0),  # he_normal is truncated
}
STRUCTURED = {"orthogonal": jax_init.orthogonal(), "sparse": None}
Draw = Callable[[], object]


def compiled(init: Callable[..., jax.Array], shape: tuple[int, int], dtype: str) -> Draw:
    draw, key = jax.jit(lambda key: init(key, shape, jnp.dtype(dtype))), jax.random.key(0)
    return lambda: draw(key).block_until_ready()


def contenders(name: str, shape: tuple[int, int], dtype: str) -> dict[str, Draw]:
    numbers = (0.1,) if name == "sparse" else ()
    fill, theirs = getattr(torch_init, f"{name}_"), {**ELEMENTWISE, **STRUCTURED}[name]
    found = {
        "jaxinit": compiled(getattr(jaxinit, name)(*numbers), shape, dtype),
        "torch": lambda: fill(torch.empty(shape, dtype=getattr(torch, dtype)), *numbers),
    }
    return found if theirs is None else {**found, "jax.nn": compiled(theirs, shape, dtype)}


def cases(is_quick: bool) -> list[tuple[str, tuple[int, int], str]]:
    if is_quick:
        return [(name, (64, 64), "float32") for name in (*ELEMENTWISE, *STRUCTURED)]
    wide = [(name, (size, size), "float32") for size in (4096, 1024) for name in ELEMENTWISE]
    narrow = [(name, (4096, 4096), "bfloat16") for name in ("uniform", "normal", "trunc_normal")]
    matrices = [("orthogonal", shape, "float32") for shape in ((512, 512), (1024, 1024), (2048, 2048), (4096, 512))]
    return [*wide, *narrow, *matrices, ("sparse", (2048, 2048), "float32")]


def main() -> None:
    is_quick = turns.arguments().quick
    rows, figures = [], {}
    for name, shape, dtype in cases(is_quick):
        times = turns.take_turns(contenders(name, shape, dtype), 0.0 if is_quick else SECONDS)
        label = f"{name} {shape[0]} x {shape[1]} {dtype}"
        entry = turns.spread([1e9 * turn.cores / math.prod(shape) for turn in times["jaxinit"]])
        speeds = [turns.speed(times, other, measure) for measure in ("clock", "cores") for other in ("jax.nn", "torch")]
        rows.append((label, entry, *speeds))
        figures[label] = times
    speeds = [f"speed over {other}{by}" for by in ("", ", by core time") for other in ("jax.nn", "torch")]
    turns.publish("throughput", ("draw", "core ns per entry", *speeds), rows, figures)


if __name__ == "__main__":
    main()
