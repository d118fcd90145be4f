"""How fast is a large draw under jit, beside jax.nn.initializers and torch?

The contenders take turns, round by round, so that whatever else the machine does falls on
all of them. Printed is the median over the rounds of jaxinit's time over the other's, so
that below 1 jaxinit is faster, with the quartiles in brackets.

Run: python benchmarks/speed.py [rounds]
"""

import statistics
import sys
import time
from collections.abc import Callable

import jax
import jax.numpy as jnp
import torch
from jax.nn import initializers as jax_init
from torch.nn import init as torch_init

import jaxinit

LARGE = (4096, 4096)
MIDDLE = (2048, 2048)
Draw = Callable[[], object]
Contenders = dict[str, Draw]


def compiled(init: Callable[..., jax.Array], shape: tuple[int, int]) -> Draw:
    draw = jax.jit(lambda key: init(key, shape, jnp.float32))
    key = jax.random.key(0)
    return lambda: draw(key).block_until_ready()


def filled(fill: Callable[[torch.Tensor], object], shape: tuple[int, int]) -> Draw:
    return lambda: fill(torch.empty(shape))


def cases() -> dict[str, Contenders]:
    return {
        "kaiming_uniform 4096 x 4096": {
            "jaxinit": compiled(jaxinit.kaiming_uniform(), LARGE),
            "jax.nn": compiled(jax_init.kaiming_uniform(), LARGE),
            "torch": filled(torch_init.kaiming_uniform_, LARGE),
        },
        "kaiming_normal 4096 x 4096": {
            "jaxinit": compiled(jaxinit.kaiming_normal(), LARGE),
            "jax.nn": compiled(jax_init.kaiming_normal(), LARGE),
            "torch": filled(torch_init.kaiming_normal_, LARGE),
        },
        "normal 4096 x 4096": {
            "jaxinit": compiled(jaxinit.normal(), LARGE),
            "jax.nn": compiled(jax_init.normal(1.0), LARGE),
            "torch": filled(torch_init.normal_, LARGE),
        },
        "trunc_normal 4096 x 4096": {
            "jaxinit": compiled(jaxinit.trunc_normal(), LARGE),
            "jax.nn": compiled(jax_init.truncated_normal(1.0), LARGE),
            "torch": filled(torch_init.trunc_normal_, LARGE),
        },
        "orthogonal 2048 x 2048": {
            "jaxinit": compiled(jaxinit.orthogonal(), MIDDLE),
            "jax.nn": compiled(jax_init.orthogonal(), MIDDLE),
            "torch": filled(torch_init.orthogonal_, MIDDLE),
        },
        "sparse(0.1) 2048 x 2048": {
            "jaxinit": compiled(jaxinit.sparse(0.1), MIDDLE),
            "torch": filled(lambda weight: torch_init.sparse_(weight, 0.1), MIDDLE),
        },
    }


def seconds(draw: Draw) -> float:
    start = time.perf_counter()
    draw()
    return time.perf_counter() - start


def interleaved(contenders: Contenders, rounds: int) -> list[dict[str, float]]:
    """The seconds of each contender in each round, after one call that is not counted."""
    for draw in contenders.values():
        draw()
    return [{name: seconds(draw) for name, draw in contenders.items()} for _ in range(rounds)]


def ratio(times: list[dict[str, float]], other: str) -> str:
    """jaxinit's time over the other's: median and quartiles."""
    if other not in times[0]:
        return "absent"
    low, middle, high = statistics.quantiles((turn["jaxinit"] / turn[other] for turn in times), n=4)
    return f"{middle:.2f} ({low:.2f} to {high:.2f})"


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 15
    print(f"jaxinit's time over the other's, {rounds} rounds, median (quartiles), float32, {jax.default_backend()}\n")
    print("| draw | to jax.nn.initializers | to torch |")
    print("|---|---|---|")
    for case, contenders in cases().items():
        times = interleaved(contenders, rounds)
        print(f"| {case} | {ratio(times, 'jax.nn')} | {ratio(times, 'torch')} |", flush=True)


if __name__ == "__main__":
    main()
