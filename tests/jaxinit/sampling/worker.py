"""One of several processes that draw together. `test_processes` starts them.

Prints, for every initializer, the entries that this process holds, as JSON.
"""

import json
import sys

import jax
from jax.sharding import NamedSharding, PartitionSpec

from tests.jaxinit import cases

SEED = 11


def main(port: str, count: str, index: str) -> None:
    """Draws every case over the devices of all processes."""
    jax.config.update("jax_cpu_collectives_implementation", "gloo")
    jax.distributed.initialize(f"127.0.0.1:{port}", int(count), int(index))
    mesh = jax.make_mesh((4, 2), ("x", "y"), axis_types=(jax.sharding.AxisType.Auto,) * 2)
    held: dict[str, list[object]] = {}
    for name in cases.NAMES:
        shape = cases.shape_of(name)
        sharding = NamedSharding(mesh, PartitionSpec(*[None] * (len(shape) - 2), "x", "y"))
        values = cases.build(name)(jax.random.key(SEED), shape, out_sharding=sharding)
        held[name] = [
            ([[part.start or 0, part.stop] for part in shard.index], shard.data.tolist())
            for shard in values.addressable_shards
        ]
    print(json.dumps(held), flush=True)
    jax.distributed.shutdown()


if __name__ == "__main__":
    main(*sys.argv[1:])
