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

import cold_models
import turns

ROUNDS = 2
# The contenders of each way to build a model. Flax stands for the layers' own defaults under jit.
WAYS = {
    "NNX eager": ("jaxinit", "jax.nn", "free"),
    "NNX jit": ("jaxinit", "jax.nn", "free"),
    "NNX init": ("jaxinit", "Flax", "torch"),
    "Linen init": ("jaxinit", "Flax"),
}


def options(library: str, way: str) -> dict[str, Any]:
    """Return the `kernel_init` of the layers."""
    import jax
    import numpy as np

    if library == "Flax" or way.endswith("init"):
        return {}
    if library == "jaxinit":
        import jaxinit

        return {"kernel_init": jaxinit.kaiming_uniform()}
    if library == "jax.nn":
        return {"kernel_init": jax.nn.initializers.he_uniform()}
    xp = np if way == "NNX eager" else jax.numpy
    return {"kernel_init": lambda _, shape, dtype=np.float32, **__: xp.zeros(shape, dtype)}


def builder(model: str, way: str, library: str, depth: int) -> Callable[[], Any]:
    """Return a function that builds the model, and returns its arrays."""
    import jax
    from flax import nnx

    import jaxinit

    if way == "Linen init":
        module = cold_models.in_linen(model, options(library, way), depth)
        init = module.init if library == "Flax" else functools.partial(jaxinit.linen.init, module)
        return functools.partial(jax.jit(init) if library == "Flax" else init, jax.random.key(0))
    build = cold_models.in_nnx(model, options(library, way), depth)
    if way == "NNX init" and library == "jaxinit":
        return lambda: nnx.state(jaxinit.nnx.init(build, nnx.Rngs(0)))
    if way == "NNX eager":
        return lambda: nnx.state(build(nnx.Rngs(0)))
    return lambda: nnx.state(nnx.jit(lambda: build(nnx.Rngs(0)))())


def measure(model: str, way: str, library: str, depth: int) -> dict[str, float]:
    """Build one model in this process."""
    import jax

    imported = turns.turn(lambda: __import__("jaxinit"))
    events: list[float] = []
    jax.monitoring.register_event_duration_secs_listener(
        lambda event, duration_secs, **_: events.append(duration_secs) if "backend_compile" in event else None
    )
    run = cold_models.in_torch(model, depth) if library == "torch" else builder(model, way, library, depth)
    start = time.perf_counter()
    jax.block_until_ready(run())
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
        print(json.dumps(measure(**json.loads(given.child))))
        return
    depth, rounds, models = (1, 1, cold_models.MODELS[1:]) if given.quick else (24, ROUNDS, cold_models.MODELS)
    rows, figures, imports = [], {}, []
    for model in models:
        for way, libraries in WAYS.items():
            children = [{"model": model, "way": way, "library": library, "depth": depth} for library in libraries]
            measured = dict(zip(libraries, rounds_of(children, rounds), strict=True))
            times = {library: [figure["seconds"] for figure in turned] for library, turned in measured.items()}
            framework, kind = way.split()
            label = f"{model}, {f'`jaxinit.{framework.lower()}.init`' if kind == 'init' else f'{way}, `kernel_init=`'}"
            own, own_times = measured["jaxinit"], times["jaxinit"]
            speed = turns.ratio(times[libraries[1]], own_times)
            over = [turns.ratio(own_times, times[name]) if name in times else "" for name in ("free", "torch")]
            rows.append((label, turns.spread(own_times), int(own[0]["programs"]), speed, *over))
            figures[label] = measured
            imports += [1000 * figure["import"] for figure in own]
    rows.append(("import jaxinit after jax, core ms", turns.spread(imports, digits=0), "", "", "", ""))
    columns = (
        "model",
        "seconds",
        "programs",
        "speed over jax.nn (init: Flax's defaults, jitted)",
        "time over free",
        "time over torch",
    )
    turns.publish("cold_start", columns, rows, figures)


if __name__ == "__main__":
    main()
