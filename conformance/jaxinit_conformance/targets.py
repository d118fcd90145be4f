"""Targets: namespaces that have torch's names as factories of JAX initializers."""

import dataclasses
import functools
import pkgutil
import types
import zlib
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from . import adapters
from .axes import is_flax, layout_arguments
from .reference import torch_init

Init = Any
"""An initializer, called with a key, a shape and a dtype. It may have a method `distribution(shape)`."""


class TargetError(Exception):
    """Signal that the target cannot be tested."""


@dataclasses.dataclass(frozen=True)
class Target:
    """Represent a namespace under test, and its name in reports."""

    name: str
    namespace: Any

    def has(self, name: str) -> bool:
        return callable(getattr(self.namespace, name, None))

    def build(self, name: str, arguments: torch_init.Arguments, axes: str | None = None) -> Init:
        """Return the initializer `NAME(**arguments)`, with a layout if the axes are not those of Flax."""
        factory: Callable[..., Init] = getattr(self.namespace, name)
        if axes is None or is_flax(axes):
            return factory(**arguments)
        return factory(**arguments, layout=self.namespace.Layout(**layout_arguments(axes)))

    @property
    def knows_layouts(self) -> bool:
        return self.has("Layout")

    @property
    def nnx(self) -> Any:
        """Return the namespace for whole models, or None if `reset_parameters` or `load` is missing."""
        found = getattr(self.namespace, "nnx", None)
        return found if all(hasattr(found, name) for name in ("reset_parameters", "load")) else None


def load(name: str) -> Target:
    """Return the target of that name: `torch`, a library with an adapter, or an importable namespace.

    Raises:
        TargetError: the name cannot be imported, or the namespace has nothing to check.
    """
    adapted = {"torch": torch_namespace, **{each: library.namespace for each, library in adapters.LIBRARIES.items()}}
    find: Callable[[], Any] = adapted.get(name, functools.partial(pkgutil.resolve_name, name))
    try:
        target = Target(name, find())
    except Exception as error:  # a module may raise anything while it is imported
        raise TargetError(f"cannot import the target {name!r}: {error}") from error
    if not any(map(target.has, (*torch_init.initializers(), "TorchGenerator"))) and not target.nnx:
        raise TargetError(f"the target {name!r} has none of torch's initializers")
    return target


def draw(init: Init, keys: jax.Array, shape: tuple[int, ...], dtype: str) -> np.ndarray:
    """Return one array for each key, stacked.

    Keys are mapped by `jax.vmap`, or one by one if the target cannot be traced. There is no `jax.jit`, which
    would compile one program for each initializer.

    Raises:
        ValueError: the target returns another shape or dtype.
    """

    def one(key: jax.Array) -> Any:
        return init(key, shape, jnp.dtype(dtype))

    try:
        arrays = np.asarray(jax.vmap(one)(keys))  # raises JAXTypeError if the target uses NumPy on a traced key
    except jax.errors.JAXTypeError:
        arrays = np.stack([np.asarray(one(key)) for key in keys])
    if (arrays.shape[1:], arrays.dtype) != (shape, jnp.dtype(dtype)):
        raise ValueError(f"asked for {dtype}{list(shape)}, returned {arrays.dtype}{list(arrays.shape[1:])}")
    return arrays


def torch_namespace() -> types.SimpleNamespace:
    """Return torch.nn.init as a target. A key seeds the generator of torch."""
    factories = {name: _torch_factory(name) for name in torch_init.initializers()}
    return types.SimpleNamespace(**factories, calculate_gain=torch_init.function("calculate_gain"))


def _torch_factory(name: str) -> Callable[..., Init]:
    signature = torch_init.signature(name)

    def factory(*positional: Any, **arguments: Any) -> Init:
        bound = signature.bind(*positional, **arguments).arguments

        def init(key: jax.Array, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
            is_kernel = len(shape) > 1
            weight = (shape[-1], shape[-2], *shape[:-2]) if is_kernel else shape
            with torch_init.seeded(seed(key)):
                drawn = torch_init.fill(name, bound, weight, np.dtype(dtype).name)
            return np.moveaxis(drawn[0], (1, 0), (-2, -1)) if is_kernel else drawn[0]

        return init

    factory.__signature__ = signature  # type: ignore[attr-defined]  # for inspect.signature
    return factory


def seed(key: jax.Array) -> int:
    """Return the seed of torch's generator for a key."""
    return zlib.crc32(np.asarray(jax.random.key_data(key)).tobytes())
