"""Where an array is laid out on devices: one rule for every initializer's `out_sharding`."""

from collections.abc import Callable

import jax
from jax.sharding import NamedSharding, PartitionSpec

OutSharding = NamedSharding | PartitionSpec | None


def named(out_sharding: OutSharding) -> NamedSharding | None:
    """`out_sharding` with its mesh: a bare PartitionSpec takes the mesh in context."""
    if out_sharding is None or isinstance(out_sharding, NamedSharding):
        return out_sharding
    if not isinstance(out_sharding, PartitionSpec):
        raise TypeError(f"`out_sharding` must be a NamedSharding or a PartitionSpec, got {out_sharding!r}")
    mesh = jax.sharding.get_abstract_mesh()
    if mesh.empty:
        raise ValueError(
            f"`out_sharding` must be a NamedSharding, or a PartitionSpec inside jax.set_mesh(mesh), "
            f"got {out_sharding} with no mesh set"
        )
    return NamedSharding(mesh, out_sharding)


def placed(draw: Callable[..., jax.Array], sharding: NamedSharding | None) -> Callable[..., jax.Array]:
    """`draw` with its result laid out by `sharding`; to be called inside a compiled function.

    Explicit mesh axes become automatic inside `draw`, so that the partitioner splits the
    whole computation from its result backwards: each device draws its own entries alone.
    """
    if sharding is None:
        return draw
    explicit = sharding.mesh.explicit_axes
    if explicit:
        return jax.sharding.auto_axes(draw, axes=explicit, out_sharding=sharding)
    return lambda *operands: jax.lax.with_sharding_constraint(draw(*operands), sharding)
