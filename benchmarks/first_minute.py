"""What does a user wait for at first: import, the first call, a whole model, beside jax.nn.initializers?

Each round starts a fresh process for each library in turn. Printed are the medians of the
ratios of jaxinit's time to the other's, and how many programs each compiled for the layers
of a ResNet-50, initialized one after the other without jit.

Run: python benchmarks/first_minute.py [rounds]
"""

import json
import statistics
import subprocess
import sys
import time

LIBRARIES = {
    "jaxinit": {
        "module": "jaxinit",
        "kernel": "jaxinit.kaiming_normal(mode='fan_out', nonlinearity='relu')",
        "bias": "jaxinit.zeros()",
        "scale": "jaxinit.ones()",
    },
    "jax.nn": {
        "module": "jax.nn.initializers",
        "kernel": "jax.nn.initializers.variance_scaling(2.0, 'fan_out', 'normal')",
        "bias": "jax.nn.initializers.zeros",
        "scale": "jax.nn.initializers.ones",
    },
}
MEASURES = ("import", "first call", "second call", "whole model")


def resnet50() -> list[tuple[int, ...]]:
    """The shapes of its kernels: a stem, four stages of bottlenecks, a classifier."""
    shapes: list[tuple[int, ...]] = [(7, 7, 3, 64)]
    inputs = 64
    for width, blocks in [(64, 3), (128, 4), (256, 6), (512, 3)]:
        shapes.append((1, 1, inputs, 4 * width))
        for _ in range(blocks):
            shapes += [(1, 1, inputs, width), (3, 3, width, width), (1, 1, width, 4 * width)]
            inputs = 4 * width
    return [*shapes, (inputs, 1000)]


def measure(library: str) -> dict[str, float]:
    """Runs in the child: imports the library and uses it."""
    names = LIBRARIES[library]
    start = time.perf_counter()
    scope: dict[str, object] = {}
    exec(f"import {names['module']}", scope)
    seconds = {"import": time.perf_counter() - start}

    import jax

    compilations: list[float] = []
    jax.monitoring.register_event_duration_secs_listener(
        lambda event, duration, **_: compilations.append(duration) if "backend_compile" in event else None
    )
    key = jax.random.key(0).block_until_ready()
    scope["jax"] = jax
    kernel, bias, scale = (eval(names[part], scope) for part in ("kernel", "bias", "scale"))
    for measured in ("first call", "second call"):
        start = time.perf_counter()
        kernel(key, (3, 3, 64, 128)).block_until_ready()
        seconds[measured] = time.perf_counter() - start

    before, start = len(compilations), time.perf_counter()
    for shape in resnet50():
        for init, size in [(kernel, shape), (scale, shape[-1:]), (bias, shape[-1:])]:
            init(key, size).block_until_ready()
    seconds["whole model"] = time.perf_counter() - start
    return {**seconds, "programs": len(compilations) - before}


def in_a_new_process(library: str) -> dict[str, float]:
    output = subprocess.run([sys.executable, __file__, library], capture_output=True, text=True, check=True).stdout
    result: dict[str, float] = json.loads(output)
    return result


def main() -> None:
    if sys.argv[1:2] and sys.argv[1] in LIBRARIES:
        print(json.dumps(measure(sys.argv[1])))
        return
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    turns = [{library: in_a_new_process(library) for library in LIBRARIES} for _ in range(rounds)]
    print(f"jaxinit's time over that of jax.nn.initializers, median of {rounds} rounds\n")
    print("| measure | ratio |\n|---|---|")
    for name in MEASURES:
        print(f"| {name} | {statistics.median(turn['jaxinit'][name] / turn['jax.nn'][name] for turn in turns):.2f} |")
    layers = len(resnet50())
    shapes = len({*resnet50(), *(shape[-1:] for shape in resnet50())})
    counts = ", ".join(f"{library} {turns[0][library]['programs']}" for library in LIBRARIES)
    print(f"\nprograms compiled for {layers} layers of {shapes} different shapes: {counts}")


if __name__ == "__main__":
    main()
