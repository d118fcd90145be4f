"""A large kernel drawn over eight devices: each draws its own part, and the values are those of one device."""

import os

os.environ["XLA_FLAGS"] = os.environ.get("XLA_FLAGS", "") + " --xla_force_host_platform_device_count=8"

import jax
import jax.numpy as jnp
from jax.sharding import NamedSharding, PartitionSpec

import jaxinit

SHAPE = (2048, 8192)
COLLECTIVES = ("all-gather", "all-reduce", "all-to-all", "collective-permute")


def main() -> None:
    mesh = jax.make_mesh((2, 4), ("data", "model"))
    sharding = NamedSharding(mesh, PartitionSpec("data", "model"))
    init = jaxinit.trunc_normal(std=0.02, a=-0.04, b=0.04)
    key = jax.random.key(0)

    def draw(key: jax.Array) -> jax.Array:
        return init(key, SHAPE, jnp.bfloat16, out_sharding=sharding)

    kernel = jax.jit(draw)(key)
    assert kernel.sharding == sharding
    parts = [part.data.shape for part in kernel.addressable_shards]
    print(f"{SHAPE} on {len(parts)} devices, each {parts[0]}")

    assert (jax.device_get(kernel) == jax.device_get(init(key, SHAPE, jnp.bfloat16))).all()
    print("equal to the draw of one device, bit for bit")

    program = jax.jit(draw).lower(key).compile().as_text() or ""
    assert not any(word in program for word in COLLECTIVES)
    print("no communication between devices in the compiled program")


if __name__ == "__main__":
    main()
