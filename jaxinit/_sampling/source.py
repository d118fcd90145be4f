"""Where the numbers of an array come from: a JAX key, or a generator that runs on the host.

An initializer asks a source for entries and knows nothing else about it. So a new kind of
random numbers is one more class here or above, and no initializer changes.
"""

import abc
import dataclasses
import hashlib
from collections.abc import Callable, Sequence
from typing import Any, Self

import jax
import numpy as np

from jaxinit import _arguments
from jaxinit._sampling.choose import choose
from jaxinit._sampling.sample import sample
from jaxinit._sampling.sharding import OutSharding, jit_sharded, resolve
from jaxinit.distributions import Distribution
from jaxinit.layouts import View

Array = jax.Array | np.ndarray
Build = Callable[..., Any]
Stream = Callable[[], jax.Array]
"""`nnx.Rngs` or one of its streams, in the eyes of a type checker without flax."""


class Source(abc.ABC):
    """Represent random numbers for arrays. A source returns JAX arrays, or NumPy arrays if it draws on the host."""

    @abc.abstractmethod
    def draw(self, distribution: Distribution, view: View, dtype: np.dtype, out_sharding: OutSharding = None) -> Array:
        """Return an array of `view.shape` with independent entries from `distribution`."""

    @abc.abstractmethod
    def choose(self, count: int, view: View) -> Array:
        """Return a boolean array that marks `count` rows, all choices alike, in each column of torch's matrix."""

    @abc.abstractmethod
    def run(self, build: Build, view: View, out_sharding: OutSharding = None, **static: Any) -> Array:
        """Return the array `build(source, view=view, **static)` that is made from several draws.

        A source for which stacked weights come one after the other calls `build` once for each.
        A source that can be traced calls it inside one compiled program.
        """

    @abc.abstractmethod
    def split(self, n: int) -> Sequence[Self]:
        """Return `n` sources for the parts of one array."""

    @abc.abstractmethod
    def at(self, path: tuple[str, ...]) -> Self:
        """Return the source for the array of a model at `path`."""


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class KeySource(Source):
    """Represent the numbers of one JAX key, the same on any device and inside any transformation.

    Args:
        key: a typed or legacy key. It is checked when numbers are drawn, as constants need none.
    """

    key: Any

    def draw(
        self, distribution: Distribution, view: View, dtype: np.dtype, out_sharding: OutSharding = None
    ) -> jax.Array:
        return sample(distribution, self.key, view.shape, dtype, out_sharding)

    def choose(self, count: int, view: View) -> jax.Array:
        return choose(self.key, count, view)

    def run(self, build: Build, view: View, out_sharding: OutSharding = None, **static: Any) -> jax.Array:
        _arguments.check_key(self.key)
        compiled = jit_sharded(_call, resolve(out_sharding, len(view.shape)))
        return compiled(self, build=build, view=view, static=tuple(static.items()))

    def split(self, n: int) -> list["KeySource"]:
        _arguments.check_key(self.key)
        return [KeySource(key) for key in jax.random.split(self.key, n)]

    def at(self, path: tuple[str, ...]) -> "KeySource":
        return KeySource(fold_in_path(self.key, path_words(path)))


def path_words(path: tuple[str, ...]) -> np.ndarray:
    """Return 64 bits of the path's hash, so that one layer more changes no other layer's numbers."""
    return np.frombuffer(hashlib.sha256("/".join(path).encode()).digest()[:8], "<u4")


def fold_in_path(key: Any, words: Any) -> Any:
    """Return the key of the array whose path has these `path_words`."""
    for word in words:
        key = jax.random.fold_in(key, word)
    return key


def as_key(key: Any) -> Any:
    """Return the next key of `nnx.Rngs` or of a stream, and anything else as it is."""
    return getattr(key, "params", key)() if _arguments.is_rngs(key) else key


def as_source(key: Any) -> Source:
    """Return the source that `key` is, or the source of a JAX key or of the next key of `nnx.Rngs`."""
    key = as_key(key)
    return key if isinstance(key, Source) else KeySource(key)


def _call(source: KeySource, *, build: Build, view: View, static: tuple[tuple[str, Any], ...]) -> Any:
    return build(source, view=view, **dict(static))
