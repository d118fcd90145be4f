"""Does each device draw its own part alone, in a time that does not grow with their number?

The array grows with the number of devices (weak scaling). Devices here share the cores of
one machine. So the figure is the time of all cores for one entry: it stays the same where
no device draws or receives another's part.

Run: python benchmarks/scale.py [--quick] [--out DIR]
"""

import json
import math
import re
import time

import turns

ROUNDS = 3
COUNTS = (1, 2, 4, 8)
COLLECTIVE = re.compile(r"all-gather|all-reduce|all-to-all|collective-permute|reduce-scatter")
NAMES = ("kaiming_uniform", "kaiming_normal")


def measure(child: dict[str, int]) -> dict[str, float]:
    """Draw over some devices in this process."""
    import jax

    import jaxinit

    count, rows = child["devices"], child["rows"]
    mesh = jax.make_mesh((count,), ("x",), axis_types=(jax.sharding.AxisType.Auto,))
    sharding = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec("x"))
    shape, key, figures = (count * rows, 4096), jax.random.key(0), {}
    for name in NAMES:
        init = getattr(jaxinit, name)()
        draw = jax.jit(lambda key, init=init: init(key, shape, out_sharding=sharding)).lower(key).compile()
        array = draw(key).block_until_ready()
        figures["bytes"] = array.addressable_shards[0].data.nbytes
        figures["collectives"] = len(COLLECTIVE.findall(draw.as_text() or ""))
        start = time.process_time()
        for _ in range(child["repeats"]):
            draw(key).block_until_ready()
        figures[name] = (time.process_time() - start) / child["repeats"] / math.prod(shape) * 1e9
    return figures


def main() -> None:
    given = turns.arguments()
    if given.child:
        print(json.dumps(measure(json.loads(given.child))))
        return
    rounds, rows = (1, 8) if given.quick else (ROUNDS, 1024)
    table, figures = [], {}
    for count in COUNTS:
        flags = f"--xla_force_host_platform_device_count={count}"
        child = {"devices": count, "rows": rows, "repeats": 5}
        turned = [turns.in_a_new_process(__file__, child, XLA_FLAGS=flags) for _ in range(rounds)]
        times = [turns.spread([figure[name] for figure in turned]) for name in NAMES]
        table.append((count, f"{turned[0]['bytes'] / 2**20:.3g}", int(turned[0]["collectives"]), *times))
        figures[str(count)] = turned
    columns = ("devices", "MiB on each", "collectives", *(f"{name}, core ns per entry" for name in NAMES))
    turns.publish("scale", columns, table, figures)


if __name__ == "__main__":
    main()
