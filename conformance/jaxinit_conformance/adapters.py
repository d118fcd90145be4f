"""Other libraries as targets: torch's names and arguments put into theirs, and nothing else.

An adapter only renames. The defaults stay the library's, and an argument that it has no
counterpart of raises TypeError, so a report answers what a user asks: the same call, is
it torch's distribution? What a library has is asked of the library itself, each time.
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
"""What else an initializer of torch's is called."""

ARGUMENTS = {
    "a": ("minval", "lower"),
    "b": ("maxval", "upper", "scale"),
    "std": ("stddev",),
    "val": ("value", "constant"),
    "gain": ("scale",),
}
"""What else an argument of torch's is called; jax's uniform from 0 to `scale` has `b` alone."""


class Library(NamedTuple):
    """Where a library keeps its initializers, what installs it, and how one of them is given a key."""

    find: Callable[[], Any]
    package: str
    keyed: Callable[[Init], Init]

    def namespace(self) -> types.SimpleNamespace:
        """Its initializers under torch's names.

        Raises:
            ImportError: the library is missing, or cannot draw with JAX.
        """
        try:
            found = self.find()
        except ModuleNotFoundError as error:
            raise ImportError(f"it needs {error.name}; install it with: pip install {self.package}") from None
        return types.SimpleNamespace(**dict(self._factories(found)))

    def _factories(self, found: Any) -> Iterator[tuple[str, Callable[..., Init]]]:
        for name in torch_init.initializers():
            for theirs in (name, *NAMES.get(name, ())):
                if hasattr(found, theirs):
                    yield name, _factory(name, theirs, getattr(found, theirs), self.keyed)
                    break


def _factory(name: str, called: str, found: Callable[..., Any], keyed: Callable[[Init], Init]) -> Callable[..., Init]:
    """`found`, the library's `called`, with the arguments of torch's function `name`."""
    there = inspect.signature(found).parameters
    if "key" in there:  # jax.nn.initializers.zeros is an initializer itself
        return _factory(name, called, lambda: found, keyed)
    theirs = dict(_renamed(name, there))

    def factory(*positional: Any, **arguments: Any) -> Init:
        bound = torch_init.signature(name).bind(*positional, **arguments).arguments
        if missing := [f"`{argument}`" for argument in bound if argument not in theirs]:
            raise TypeError(f"{called} has no {', '.join(missing)}")
        init = keyed(found(**{theirs[argument]: value for argument, value in bound.items()}))
        return functools.partial(_drawn, init)

    own = [there[its].replace(name=argument) for argument, its in theirs.items()]
    factory.__signature__ = inspect.Signature(own)  # type: ignore[attr-defined]  # for inspect.signature
    return factory


def _renamed(name: str, there: Mapping[str, inspect.Parameter]) -> Iterator[tuple[str, str]]:
    """Each argument of torch's function that is `there` too, in torch's order, with its name there."""
    for argument in torch_init.parameters(name):
        for its in (argument, *ARGUMENTS.get(argument, ())):
            if its in there:
                yield argument, its
                break


def _drawn(init: Init, key: jax.Array, shape: tuple[int, ...], dtype: Any) -> Any:
    """As the library draws by itself: under JAX's own rules of promotion, whatever the caller's are."""
    with jax.numpy_rank_promotion("allow"), jax.numpy_dtype_promotion("standard"):
        return init(key, shape, dtype)


def _as_it_is(init: Init) -> Init:
    return init


def _keras_on_jax() -> Any:
    os.environ.setdefault("KERAS_BACKEND", "jax")  # keras reads it once, when it is imported
    import keras

    if keras.backend.backend() != "jax":
        raise ImportError(f"keras draws with {keras.backend.backend()}; set KERAS_BACKEND=jax")
    return keras.initializers


def _seeded(initializer: Any) -> Init:
    """keras: on JAX a seed may be a key, but the constructor takes only ints."""

    def init(key: jax.Array, shape: tuple[int, ...], dtype: Any) -> Any:
        seeded = copy.copy(initializer)
        seeded.seed = key
        return seeded(shape, dtype)

    return init


def _transformed(initializer: Any) -> Init:
    """haiku: random numbers come from the key that a transformed function is applied to."""
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
"""By the name of the target."""
