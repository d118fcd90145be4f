"""How much memory does a draw need at most, over that of its result?

Linux notes the most memory that a process has held. Programs are compiled before the note is
set back, so that what is left is the draw itself. The C library must not keep what is freed.

Run: python benchmarks/memory.py [--quick] [--out DIR]
"""

import functools
import gc
import json
import pathlib
from collections.abc import Callable

import jax
import jax.numpy as jnp
import turns

import jaxinit

SHAPE, SQUARE = (4096, 4096), (1024, 1024)
INITIALIZERS = {
    "zeros": (jaxinit.zeros(), SHAPE),
    "uniform": (jaxinit.uniform(), SHAPE),
    "normal": (jaxinit.normal(), SHAPE),
    "trunc_normal": (jaxinit.trunc_normal(), SHAPE),
    "trunc_normal, far": (jaxinit.trunc_normal(a=8.0, b=9.0), SHAPE),
    "kaiming_uniform": (jaxinit.kaiming_uniform(), SHAPE),
    "eye": (jaxinit.eye(), SHAPE),
    "dirac": (jaxinit.dirac(), (3, 2048, 2048)),
    "sparse(0.1)": (jaxinit.sparse(0.1), SHAPE),
    "orthogonal": (jaxinit.orthogonal(), SQUARE),
    "jax.nn uniform": (jax.nn.initializers.uniform(), SHAPE),
    "jax.nn normal": (jax.nn.initializers.normal(), SHAPE),
}
DTYPES = ("float32", "bfloat16")


def resident(line: str) -> int:
    """Return the bytes of one line of the process's status."""
    status = pathlib.Path("/proc/self/status").read_text()
    return 1024 * int(next(row for row in status.splitlines() if row.startswith(line)).split()[1])


def factor(draw: Callable[[], jax.Array]) -> float:
    """Return the most bytes held during a draw over the bytes of its result."""
    gc.collect()
    pathlib.Path("/proc/self/clear_refs").write_text("5")
    before = resident("VmRSS")
    drawn = draw().block_until_ready()
    return (resident("VmHWM") - before) / drawn.nbytes


def factors(is_quick: bool) -> dict[str, list[float]]:
    """Return the factors of each initializer, by dtype: eager, then under jit."""
    key, found = jax.random.key(0), {}
    for name, (init, full) in INITIALIZERS.items():
        shape = (*full[:-2], full[-2] // 64, full[-1] // 64) if is_quick else full
        found[name] = []
        for dtype in map(jnp.dtype, DTYPES):
            eager = functools.partial(init, key, shape, dtype)
            compiled = jax.jit(functools.partial(init, shape=shape, dtype=dtype)).lower(key).compile()
            for draw in (eager, functools.partial(compiled, key)):
                draw()  # compiles
                found[name].append(max(factor(draw) for _ in range(2)))
    return found


def main() -> None:
    given = turns.arguments()
    if given.child:
        print(json.dumps(factors(json.loads(given.child))))
        return
    libc = {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "0"}
    figures = turns.in_a_new_process(__file__, given.quick, **libc)
    rows = [(name, *(f"{cell:.2f}" for cell in cells)) for name, cells in figures.items()]
    columns = [f"{dtype}, {mode}" for dtype in DTYPES for mode in ("eager", "jit")]
    turns.publish("memory", ("peak over the result", *columns), rows, figures)


if __name__ == "__main__":
    main()
