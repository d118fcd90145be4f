"""How an array is laid out on devices: one rule for the `out_sharding` of every initializer."""

import functools
import inspect
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

OutSharding = NamedSharding | PartitionSpec | None
Draw = Callable[..., jax.Array]


def resolve(out_sharding: OutSharding, rank: int) -> NamedSharding | None:
    """Return `out_sharding` with its mesh. A bare PartitionSpec takes the mesh in context.

    Raises:
        TypeError: `out_sharding` is neither a NamedSharding nor a PartitionSpec.
        ValueError: it names more axes than `rank`, or no mesh is set.
    """
    if out_sharding is None:
        return None
    if not isinstance(out_sharding, (NamedSharding, PartitionSpec)):
        raise TypeError(f"`out_sharding` must be a NamedSharding or a PartitionSpec, got {out_sharding!r}")
    spec = out_sharding.spec if isinstance(out_sharding, NamedSharding) else out_sharding
    if len(spec) > rank:
        raise ValueError(f"`out_sharding` must name at most the rank {rank} of `shape` axes, got {spec}")
    if isinstance(out_sharding, NamedSharding):
        return out_sharding
    mesh = jax.sharding.get_abstract_mesh()
    if mesh.empty:
        raise ValueError(
            f"`out_sharding` must be a NamedSharding, or a PartitionSpec inside jax.set_mesh(mesh), "
            f"got {out_sharding} with no mesh set"
        )
    return NamedSharding(mesh, out_sharding)


@functools.cache
def jit_sharded(draw: Draw, sharding: NamedSharding | None) -> Draw:
    """Return `draw`, compiled with its result laid out by `sharding`. Its keyword arguments are static.

    The partitioner splits the whole computation from its result backwards. So each device
    draws its own entries alone.
    """

    @functools.wraps(draw)
    def lay_out(*operands: jax.Array, **static: object) -> jax.Array:
        return _automatic(functools.partial(draw, **static), sharding)(*operands)

    # Explicit axes of the mesh in context are laid out by _automatic alone. So a caller may vmap over them.
    is_laid_out = sharding is not None and sharding.mesh.are_all_axes_explicit and not isinstance(sharding.mesh, Mesh)
    parameters = inspect.signature(draw).parameters.values()
    static = [parameter.name for parameter in parameters if parameter.kind is parameter.KEYWORD_ONLY]
    return jax.jit(lay_out, static_argnames=static, out_shardings=None if is_laid_out else sharding)


def jit_each(draw: Callable[..., list[jax.Array]], shardings: list[NamedSharding | None]) -> Any:
    """Return a function of several arrays, compiled with each of them laid out by its sharding."""
    explicit = next((each for each in shardings if each is not None and each.mesh.explicit_axes), None)
    if explicit is not None:
        everywhere = NamedSharding(explicit.mesh, PartitionSpec())
        parts = [_explicit_part(everywhere if each is None else each) for each in shardings]
        draw = jax.sharding.auto_axes(draw, axes=explicit.mesh.explicit_axes, out_sharding=parts)
    return jax.jit(draw, out_shardings=shardings)


def _automatic(draw: Draw, sharding: NamedSharding | None) -> Draw:
    """Return `draw` with the explicit axes of the mesh made automatic inside it."""
    if sharding is None or not sharding.mesh.explicit_axes:
        return draw
    automatic: Draw = jax.sharding.auto_axes(
        draw, axes=sharding.mesh.explicit_axes, out_sharding=_explicit_part(sharding)
    )
    return automatic


def _explicit_part(sharding: NamedSharding) -> NamedSharding:
    """Return `sharding` without the axes of its mesh that are automatic already."""
    explicit = sharding.mesh.explicit_axes

    def kept(entry: object) -> object:
        names = entry if isinstance(entry, tuple) else (entry,)
        left = tuple(name for name in names if name in explicit)
        return left if left else None

    return NamedSharding(sharding.mesh, PartitionSpec(*map(kept, sharding.spec)))


def device_put(array: jax.Array | np.ndarray, out_sharding: OutSharding) -> jax.Array:
    """Return the array of the host or of a device, laid out by `out_sharding`."""
    sharding = resolve(out_sharding, array.ndim)
    if sharding is None or isinstance(sharding.mesh, Mesh):
        there: jax.Array = jax.device_put(array, sharding)  # jnp.asarray would compile a program for each shape
        return there
    return jit_sharded(_as_it_is, sharding)(array)  # only a compiled program knows the devices of a mesh in context


def _as_it_is(array: jax.Array) -> jax.Array:
    return array
