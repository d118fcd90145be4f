"""What every initializer is: a value that can be called, compared, hashed, pickled and printed."""

import abc
import dataclasses
import math
import zlib
from collections.abc import Sequence
from typing import Any, ClassVar, Self

import jax
import numpy as np
from jax.typing import DTypeLike

from jaxinit import _arguments
from jaxinit._sampling.sample import sample
from jaxinit._sampling.sharding import OutSharding, placed
from jaxinit._torch_generator import replay
from jaxinit._torch_generator.generator import TorchGenerator
from jaxinit.distributions import Distribution
from jaxinit.layouts import FLAX, Layout, require_layout


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Initializer(abc.ABC):
    """The base class: JAX's `Initializer` protocol as an immutable value.

    The same key, shape and dtype give the same array eagerly, under `jit` and `vmap`, and
    on any number of devices. Equal arguments make equal initializers with one hash, also
    across processes, and `repr` is the call that builds the initializer.

    Args:
        dtype: what to return when the call names no dtype; None or Python's float for JAX's default float.

    Example:
        >>> init = jaxinit.kaiming_uniform()
        >>> init(jax.random.key(0), (3, 3, 64, 128), jnp.bfloat16).shape
        (3, 3, 64, 128)
        >>> init == jaxinit.kaiming_uniform(a=0.0), hash(init) == hash(jaxinit.kaiming_uniform())
        (True, True)
        >>> jaxinit.xavier_normal(gain=2)
        jaxinit.xavier_normal(gain=2.0)
    """

    dtype: DTypeLike | None = dataclasses.field(default=None, kw_only=True)
    _namespace: ClassVar[str] = "jaxinit"

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        if any(_arguments.is_key(given) or isinstance(given, TorchGenerator) for given in (*args, *kwargs.values())):
            raise TypeError(
                f"`{cls._namespace}.{cls.__name__}` builds an initializer and takes no key; "
                f"did you mean `{cls.__name__}()`?"
            )
        return super().__new__(cls)

    def __post_init__(self) -> None:
        if self.dtype is not None:
            self._canonical("dtype", None if self.dtype is float else _arguments.parse_dtype(self.dtype))

    def __call__(
        self,
        key: jax.Array | TorchGenerator,
        shape: Sequence[int],
        dtype: DTypeLike | None = None,
        out_sharding: OutSharding = None,
    ) -> jax.Array:
        """Draws an array.

        Args:
            key: one PRNG key, typed or legacy, or a TorchGenerator, which gives torch's own
                numbers for torch's array; not looked at where nothing is random.
            shape: the shape of your array, axes as the layout says.
            dtype: the dtype of the result; by default the initializer's own.
            out_sharding: how the result is laid out, on explicit or automatic mesh axes.

        Raises:
            TypeError: `key`, `shape` or `dtype` is not of its kind, or a TorchGenerator meets a trace.
            ValueError: the shape, the dtype or the sharding does not fit the initializer.
        """
        shape, dtype = _arguments.dimensions(shape), _arguments.resolve_dtype(self.dtype if dtype is None else dtype)
        if isinstance(key, TorchGenerator):
            replay.require_no_trace()
            return placed(self.replayed(key, shape, dtype), out_sharding)
        return self._array(key, shape, dtype, out_sharding)

    @abc.abstractmethod
    def replayed(self, generator: TorchGenerator, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
        """torch's numbers for torch's array, in your layout, as a NumPy array."""

    @abc.abstractmethod
    def _array(self, key: jax.Array, shape: tuple[int, ...], dtype: np.dtype, out_sharding: OutSharding) -> jax.Array:
        """The array, once its shape and dtype are settled."""

    def _canonical(self, name: str, value: object) -> None:
        object.__setattr__(self, name, value)

    def __repr__(self) -> str:
        given = [
            f"{field.name}={_literal(getattr(self, field.name))}"
            for field in sorted(dataclasses.fields(self), key=lambda field: bool(field.kw_only))
            if not field.kw_only or not _is_default(getattr(self, field.name), field.default)
        ]
        return f"{self._namespace}.{type(self).__name__}({', '.join(given)})"

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and repr(self) == repr(other)

    def __hash__(self) -> int:
        # Not Python's hash of a tuple: those of None and of strings differ between processes.
        return zlib.crc32(repr(self).encode())


def _is_default(value: Any, default: Any) -> bool:
    # NumPy takes None for its own default dtype, and calls the two equal.
    return value is default or (default is not None and value == default)


def _literal(value: Any) -> str:
    if isinstance(value, float) and math.isinf(value):
        return f"float('{value}')"
    if isinstance(value, complex):
        return f"complex({_literal(value.real)}, {_literal(value.imag)})"
    if isinstance(value, np.dtype):
        return repr(value.name)
    return repr(value)


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Elementwise(Initializer):
    """An initializer whose entries are independent and alike."""

    @abc.abstractmethod
    def distribution(self, shape: Sequence[int]) -> Distribution:
        """What each entry of an array of `shape` is drawn from.

        Example:
            >>> jaxinit.xavier_normal().distribution((300, 200))
            Normal(mean=0.0, std=0.06324555320336758)
        """

    def _array(self, key: jax.Array, shape: tuple[int, ...], dtype: np.dtype, out_sharding: OutSharding) -> jax.Array:
        return sample(self.distribution(shape), key, shape, dtype, out_sharding)

    def replayed(self, generator: TorchGenerator, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
        return replay.draw(self.distribution(shape), generator, shape, dtype)


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class WithLayout(Initializer):
    """An initializer that looks at axes.

    Args:
        layout: which axes of your array are torch's `(out, in, *spatial)`.
    """

    layout: Layout = dataclasses.field(default=FLAX, kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        require_layout(self.layout)
