"""Record a model of 70 billion parameters, and lay its initialization out on 256 devices, without its memory.

Run it as a script. It prints three tables:

- what recording takes, in seconds and in memory,
- the program for 256 devices: what it is lowered for, the bytes and the communication of one device,
- how the time to compile depends on the number of layers.

Last, it draws a smaller model on eight devices and on one, and compares the values.
"""

import functools
import re
import resource
import time
from collections.abc import Callable

import jax
import numpy as np
from jax.sharding import AbstractMesh, AxisType, Mesh, NamedSharding, PartitionSpec
from torch import nn

import jaxinit

DEVICES = 256
LAYERS = (6, 12, 24, 48)
COLLECTIVES = "all-reduce", "all-gather", "all-to-all", "collective-permute", "reduce-scatter"


class Block(nn.Module):
    """A layer of Llama: grouped attention and a gated MLP, without biases."""

    def __init__(self, size: int, inner: int, grouped: int) -> None:
        super().__init__()
        self.q_proj, self.o_proj = (nn.Linear(size, size, bias=False) for _ in range(2))
        self.k_proj, self.v_proj = (nn.Linear(size, grouped, bias=False) for _ in range(2))
        self.gate_proj, self.up_proj = (nn.Linear(size, inner, bias=False) for _ in range(2))
        self.down_proj = nn.Linear(inner, size, bias=False)
        self.input_norm, self.post_norm = nn.RMSNorm(size), nn.RMSNorm(size)


class Llama(nn.Module):
    """The parameters of Llama 2, set as its published code sets them."""

    def __init__(self, layers: int = 80, size: int = 8192, inner: int = 28672, grouped: int = 1024, words: int = 32000):
        super().__init__()
        self.embed_tokens, self.norm = nn.Embedding(words, size), nn.RMSNorm(size)
        self.layers = nn.ModuleList(Block(size, inner, grouped) for _ in range(layers))
        self.lm_head = nn.Linear(size, words, bias=False)
        self.apply(self._init_weights)

    @staticmethod
    def _init_weights(module: nn.Module) -> None:
        if isinstance(module, nn.Linear | nn.Embedding):
            nn.init.normal_(module.weight, std=0.02)


def small(layers: int) -> Llama:
    return Llama(layers, size=64, inner=128, grouped=32, words=320)


def seconds(run: Callable[[], object]) -> float:
    """Return the processors' time, which does not depend on what else the machine does."""
    start = time.process_time()
    run()
    return time.process_time() - start


def shardings(recipe: jaxinit.Recipe, mesh: Mesh | AbstractMesh) -> dict[str, NamedSharding]:
    """Split the first axis of each parameter over `x`, and the second over `y`."""
    return {p.name: NamedSharding(mesh, PartitionSpec(*("x", "y")[: len(p.shape)])) for p in recipe.parameters}


def record_at_scale() -> jaxinit.Recipe:
    jaxinit.record(lambda: small(1))  # imports what recording needs
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.process_time()
    recipe = jaxinit.record(Llama)
    elapsed = time.process_time() - start
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    print("| parameters | entries | CPU seconds to record | memory that recording adds, MiB | JSON, KiB |")
    print("|---|---|---|---|---|")
    entries = sum(np.prod(parameter.shape, dtype=np.int64) for parameter in recipe.parameters)
    text = recipe.to_json()
    print(f"| {len(recipe.parameters)} | {entries:,} | {elapsed:.2f} | {grown:.0f} | {len(text) / 1024:.0f} |\n")
    return recipe


def lower_at_scale(recipe: jaxinit.Recipe) -> None:
    abstract = AbstractMesh((16, 16), ("x", "y"), axis_types=(AxisType.Auto,) * 2)
    layout = shardings(recipe, abstract)
    draw = jax.jit(lambda key: recipe.sample(key, dtype="bfloat16", out_shardings=layout))
    exported = jax.export.export(draw, platforms=["tpu"])(jax.random.key_data(jax.random.key(0)))
    shapes = (layout[p.name].shard_shape(p.shape) for p in recipe.parameters)
    share = 2 * sum(int(np.prod(shape)) for shape in shapes)
    mesh = jax.make_mesh((16, 16), ("x", "y"), axis_types=(AxisType.Auto,) * 2)
    layout = shardings(recipe, mesh)
    draw = jax.jit(lambda key: recipe.sample(key, dtype="bfloat16", out_shardings=layout))
    start = time.perf_counter()
    compiled = draw.lower(jax.random.key(0)).compile()
    elapsed = time.perf_counter() - start
    memory = compiled.memory_analysis()
    found = [word for word in COLLECTIVES if re.search(rf"\b{word}", compiled.as_text() or "")]
    print("| lowered for | devices | bytes of parameters, one device | of results | of temporaries | communication |")
    print("|---|---|---|---|---|---|")
    results, temporaries = memory.output_size_in_bytes, memory.temp_size_in_bytes
    row = f"{exported.nr_devices} | {share:,} | {results:,} | {temporaries:,} | {', '.join(found) or 'none'}"
    print(f"| {', '.join(exported.platforms)} | {row} |\n\ncompiled for {DEVICES} CPU devices in {elapsed:.0f} s\n")


def compile_by_layers() -> None:
    print("| layers | parameters | CPU seconds to compile and draw | CPU seconds to draw again |")
    print("|---|---|---|---|")
    for layers in LAYERS:
        recipe = jaxinit.record(functools.partial(small, layers))

        def draw(recipe: jaxinit.Recipe = recipe) -> object:
            return jax.block_until_ready(recipe.sample(jax.random.key(0)))

        jax.clear_caches()
        print(f"| {layers} | {len(recipe.parameters)} | {seconds(draw):.2f} | {seconds(draw):.3f} |")


def compare_devices() -> None:
    recipe = jaxinit.record(lambda: small(3))
    mesh = Mesh(np.array(jax.devices()[:8]).reshape(4, 2), ("x", "y"))
    one = recipe.sample(jax.random.key(0))
    eight = recipe.sample(jax.random.key(0), out_shardings=shardings(recipe, mesh))
    same = sum(bool((one[name] == np.asarray(array)).all()) for name, array in eight.items())
    print(f"\n{same} of {len(one)} arrays on eight devices equal those on one")


if __name__ == "__main__":
    jax.config.update("jax_num_cpu_devices", DEVICES)
    recipe = record_at_scale()
    lower_at_scale(recipe)
    compile_by_layers()
    compare_devices()
