"""Other libraries as targets, with the names and arguments of torch.

An adapter renames and does nothing else. The library keeps its defaults, and an argument that it
lacks raises TypeError. So a report answers the question of a user: does the same call give the
distribution of torch?
"""

import copy
import functools
import inspect
import os
import pkgutil
import types
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import jax

from .reference import torch_init

Init = Callable[..., Any]

NAMES = {
    "uniform": ("random_uniform", "RandomUniform"),
    "normal": ("random_normal", "RandomNormal"),
    "trunc_normal": ("truncated_normal", "TruncatedNormal"),
    "constant": ("Constant",),
    "eye": ("identity", "Identity"),
    "xavier_uniform": ("glorot_uniform",),
    "xavier_normal": ("glorot_normal",),
    "kaiming_uniform": ("he_uniform",),
    "kaiming_normal": ("he_normal",),
    "orthogonal": ("Orthogonal",),
}
"""Other names of a torch initializer."""

ARGUMENTS = {
    "a": ("minval", "lower"),
    "b": ("maxval", "upper", "scale"),
    "std": ("stddev",),
    "val": ("value", "constant"),
    "gain": ("scale",),
}
"""Other names of a torch argument. jax.nn.initializers.uniform has no `a`: it draws from 0 to `scale`."""


class Library(NamedTuple):
    """Represent where the initializers are, which package installs them, and how an initializer gets a key."""

    find: Callable[[], Any]
    package: str
    keyed: Callable[[Init], Init]

    def namespace(self) -> types.SimpleNamespace:
        """Return the initializers under torch's names.

        Raises:
            ImportError: the library is missing, or cannot draw with JAX.
        """
        try:
            found = self.find()
        except ModuleNotFoundError as error:
            raise ImportError(f"it needs {error.name}. Install it with: pip install {self.package}") from None
        return types.SimpleNamespace(**dict(self._factories(found)))

    def _factories(self, found: Any) -> Iterator[tuple[str, Callable[..., Init]]]:
        for name in torch_init.initializers():
            for other in (name, *NAMES.get(name, ())):
                if hasattr(found, other):
                    yield name, _factory(name, other, getattr(found, other), self.keyed)
                    break


def _factory(name: str, called: str, found: Callable[..., Any], keyed: Callable[[Init], Init]) -> Callable[..., Init]:
    """Return `found`, which the library calls `called`, with the arguments of the torch function `name`."""
    known = inspect.signature(found).parameters
    if "key" in known:  # jax.nn.initializers.zeros is an initializer, not a factory
        return _factory(name, called, lambda: found, keyed)
    renamed = dict(_renamed(name, known))

    def factory(*positional: Any, **arguments: Any) -> Init:
        bound = torch_init.signature(name).bind(*positional, **arguments).arguments
        if missing := [f"`{argument}`" for argument in bound if argument not in renamed]:
            raise TypeError(f"{called} has no {', '.join(missing)}")
        init = keyed(found(**{renamed[argument]: value for argument, value in bound.items()}))
        return functools.partial(_drawn, init)

    own = [known[its].replace(name=argument) for argument, its in renamed.items()]
    factory.__signature__ = inspect.Signature(own)  # type: ignore[attr-defined]  # for inspect.signature
    return factory


def _renamed(name: str, known: Mapping[str, inspect.Parameter]) -> Iterator[tuple[str, str]]:
    """Yield each argument of the torch function that the library has too, with the library's name."""
    for argument in torch_init.parameters(name):
        for its in (argument, *ARGUMENTS.get(argument, ())):
            if its in known:
                yield argument, its
                break


def _drawn(init: Init, key: jax.Array, shape: tuple[int, ...], dtype: Any) -> Any:
    """Draw under the default promotion rules of JAX, which the library was written for."""
    with jax.numpy_rank_promotion("allow"), jax.numpy_dtype_promotion("standard"):
        return init(key, shape, dtype)


def _as_it_is(init: Init) -> Init:
    return init


def _keras_on_jax() -> Any:
    os.environ.setdefault("KERAS_BACKEND", "jax")  # keras reads it once, when it is imported
    import keras

    if keras.backend.backend() != "jax":
        raise ImportError(f"keras draws with {keras.backend.backend()}. Set KERAS_BACKEND=jax")
    return keras.initializers


def _seeded(initializer: Any) -> Init:
    """Give a Keras initializer a key. On JAX the seed may be a key, though the constructor accepts only ints."""

    def init(key: jax.Array, shape: tuple[int, ...], dtype: Any) -> Any:
        seeded = copy.copy(initializer)
        seeded.seed = key
        return seeded(shape, dtype)

    return init


def _transformed(initializer: Any) -> Init:
    """Give a Haiku initializer a key: that of the transformed function that calls it."""
    import haiku

    def init(key: jax.Array, shape: tuple[int, ...], dtype: Any) -> Any:
        return haiku.transform(lambda: initializer(shape, dtype)).apply({}, key)

    return init


def _named(path: str) -> Callable[[], Any]:
    return functools.partial(pkgutil.resolve_name, path)


LIBRARIES = {
    "jax.nn.initializers": Library(_named("jax.nn.initializers"), "jax", _as_it_is),
    "flax": Library(_named("flax.nnx.initializers"), "flax", _as_it_is),
    "keras.initializers": Library(_keras_on_jax, "keras", _seeded),
    "haiku": Library(_named("haiku.initializers"), "dm-haiku", _transformed),
}
"""The adapters, by the name of the target."""
