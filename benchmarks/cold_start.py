"""What does a user wait for in a new process: the import, and a whole model?

Each round starts a new process for each contender in turn. The free initializer returns
zeros of NumPy, or of JAX under jit: what is left is the time of Flax and JAX themselves.

Run: python benchmarks/cold_start.py [--quick] [--out DIR]
"""

import functools
import json
import time
from collections.abc import Callable
from typing import Any

import turns

ROUNDS = 3
LIBRARIES = ("jaxinit", "jax.nn", "free")
MODELS = ("ResNet-50", "transformer")


def resnet50() -> list[tuple[int, ...]]:
    """Return the shapes of its kernels: a stem, four stages of bottlenecks, a classifier."""
    shapes: list[tuple[int, ...]] = [(7, 7, 3, 64)]
    inputs = 64
    for width, blocks in [(64, 3), (128, 4), (256, 6), (512, 3)]:
        shapes.append((1, 1, inputs, 4 * width))
        for _ in range(blocks):
            shapes += [(1, 1, inputs, width), (3, 3, width, width), (1, 1, width, 4 * width)]
            inputs = 4 * width
    return [*shapes, (inputs, 1000)]


def kernel_init(library: str, mode: str) -> Any:
    import jax
    import numpy as np

    if library == "jaxinit":
        import jaxinit

        return jaxinit.kaiming_uniform()
    if library == "jax.nn":
        return jax.nn.initializers.he_uniform()
    xp = np if mode == "eager" else jax.numpy
    return lambda _, shape, dtype=np.float32, **__: xp.zeros(shape, dtype)


def layers(model: str, init: Any, depth: int) -> Callable[[Any], Any]:
    """Return a function of rngs that builds the layers of a model, without wiring them."""
    from flax import nnx

    options = {} if init is None else {"kernel_init": init}

    def convolutions(rngs: nnx.Rngs) -> list[Any]:
        *kernels, (inputs, outputs) = resnet50()
        pairs = [
            (nnx.Conv(i, o, size, use_bias=False, rngs=rngs, **options), nnx.BatchNorm(o, rngs=rngs))
            for *size, i, o in kernels
        ]
        return [*(layer for pair in pairs for layer in pair), nnx.Linear(inputs, outputs, rngs=rngs, **options)]

    def blocks(rngs: nnx.Rngs) -> list[Any]:
        return [
            layer
            for _ in range(depth)
            for layer in (
                nnx.MultiHeadAttention(8, 512, decode=False, rngs=rngs, **options),
                nnx.LayerNorm(512, rngs=rngs),
                nnx.Linear(512, 2048, rngs=rngs, **options),
                nnx.Linear(2048, 512, rngs=rngs, **options),
                nnx.LayerNorm(512, rngs=rngs),
            )
        ]

    make = convolutions if model == "ResNet-50" else blocks
    return lambda rngs: nnx.List(make(rngs))


def measure(child: dict[str, Any]) -> dict[str, float]:
    """Build one model in this process."""
    import jax

    imported = turns.turn(lambda: __import__("jaxinit"))
    from flax import nnx

    events: list[float] = []
    jax.monitoring.register_event_duration_secs_listener(
        lambda event, duration_secs, **_: events.append(duration_secs) if "backend_compile" in event else None
    )
    mode = child["mode"]
    init = None if child["library"] == "Flax" else kernel_init(child["library"], mode)
    build = layers(child["model"], init, child["depth"])
    if mode == "init":
        import jaxinit

        run = functools.partial(jaxinit.nnx.init, build, nnx.Rngs(0))
    else:
        run = nnx.jit(lambda: build(nnx.Rngs(0))) if mode == "jit" else lambda: build(nnx.Rngs(0))
    start = time.perf_counter()
    jax.block_until_ready(nnx.state(run()))
    return {
        "seconds": time.perf_counter() - start,
        "programs": len(events),
        "compile": sum(events),
        "import": imported.cores,
    }


def rounds_of(contenders: list[dict[str, Any]], rounds: int) -> list[list[dict[str, float]]]:
    """Return, for each contender, what each round measured."""
    turned = [[turns.in_a_new_process(__file__, child) for child in contenders] for _ in range(rounds)]
    return [list(figures) for figures in zip(*turned, strict=True)]


def main() -> None:
    given = turns.arguments()
    if given.child:
        print(json.dumps(measure(json.loads(given.child))))
        return
    depth, rounds, models = (1, 1, MODELS[1:]) if given.quick else (24, ROUNDS, MODELS)
    rows, figures, imports = [], {}, []
    for model in models:
        for mode in ("eager", "jit", "init"):
            libraries = ("jaxinit", "Flax") if mode == "init" else LIBRARIES
            children = [
                {"model": model, "mode": "jit" if library == "Flax" else mode, "library": library, "depth": depth}
                for library in libraries
            ]
            measured = dict(zip(libraries, rounds_of(children, rounds), strict=True))
            times = {library: [figure["seconds"] for figure in turned] for library, turned in measured.items()}
            label = f"{model}, {'`jaxinit.nnx.init`' if mode == 'init' else f'{mode}, `kernel_init=`'}"
            own, other = measured["jaxinit"], "Flax" if mode == "init" else "jax.nn"
            over_free = turns.ratio(times["jaxinit"], times["free"]) if "free" in times else "absent"
            speed = turns.ratio(times[other], times["jaxinit"])
            rows.append((label, turns.spread(times["jaxinit"]), int(own[0]["programs"]), speed, over_free))
            figures[label] = measured
            imports += [1000 * figure["import"] for figure in own]
    rows.append(("import jaxinit after jax, core ms", turns.spread(imports, digits=0), "", "", ""))
    columns = ("model", "seconds", "programs", "speed over jax.nn (init: Flax's defaults, jitted)", "time over free")
    turns.publish("cold_start", columns, rows, figures)


if __name__ == "__main__":
    main()
