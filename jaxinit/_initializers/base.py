"""What every initializer is: a value that can be called, compared, hashed, pickled and printed."""

import abc
import dataclasses
import math
import typing
import zlib
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Self

import jax
import numpy as np
from jax.typing import DTypeLike

from jaxinit import _arguments
from jaxinit._initializers.other_styles import Kind, in_this_style, is_shape
from jaxinit._sampling.sharding import OutSharding, device_put
from jaxinit._sampling.source import Array, Source, Stream, as_source
from jaxinit.distributions import Distribution
from jaxinit.layouts import FLAX, Layout, View, as_layout, as_stored


@typing.dataclass_transform(frozen_default=True, eq_default=False, field_specifiers=(dataclasses.field,))
class _Value:
    """Make every subclass a frozen dataclass."""

    def __init_subclass__(cls) -> None:
        dataclasses.dataclass(frozen=True, eq=False, repr=False)(cls)


class Initializer(_Value, metaclass=Kind):
    """Draw arrays by JAX's `Initializer` protocol: the base class, an immutable value.

    The same key, shape and dtype give the same array eagerly, under `jit` and `vmap`, and on
    any number of devices. Initializers with equal arguments are equal. They have the same hash
    in every process, and `repr` is the call that builds the initializer.

    Args:
        dtype: what to return when the call names no dtype. None or Python's float mean JAX's default float.

    Example:
        >>> init = jaxinit.kaiming_uniform()
        >>> init(jax.random.key(0), (3, 3, 64, 128), jnp.bfloat16).shape
        (3, 3, 64, 128)
        >>> init == jaxinit.kaiming_uniform(a=0.0), hash(init) == hash(jaxinit.kaiming_uniform())
        (True, True)
        >>> jaxinit.xavier_normal(gain=2)
        jaxinit.xavier_normal(gain=2.0)

    A number times an initializer is an initializer, and so is one divided by a number::

        x = init(...) * factor / divisor

    Where entries are independent, they are drawn from the multiplied distribution and rounded once.
    Other initializers, such as `orthogonal`, draw and multiply.

        >>> 0.5 * jaxinit.normal(std=0.02) / math.sqrt(2 * 8)
        0.5 * jaxinit.normal(mean=0.0, std=0.02) / 4.0
        >>> (jaxinit.normal(std=0.02) / math.sqrt(2 * 8)).distribution((64, 64))
        Normal(mean=0.0, std=0.005)
    """

    dtype: DTypeLike | None = dataclasses.field(default=None, kw_only=True)
    _namespace: ClassVar[str] = "jaxinit"

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        for given in (*args, *kwargs.values()):
            if isinstance(given, Source) or _arguments.is_key(given) or _arguments.is_rngs(given):
                raise TypeError(
                    f"`{cls._namespace}.{cls.__name__}` builds an initializer and takes no key; "
                    f"did you mean `{cls.__name__}()`?"
                )
        if args and is_shape(args[0]):
            raise TypeError(
                f"`{cls._namespace}.{cls.__name__}` builds an initializer and takes no shape, got {args[0]}; "
                f"in Haiku, pass jaxinit.haiku.initializer({cls._namespace}.{cls.__name__}())"
            )
        return super().__new__(cls)

    def __post_init__(self) -> None:
        if self.dtype is not None:
            self._canonical(dtype=None if self.dtype is float else _arguments.parse_dtype(self.dtype))

    @in_this_style
    def __call__(
        self,
        key: jax.Array | Source | Stream,
        shape: Sequence[int],
        dtype: DTypeLike | None = None,
        out_sharding: OutSharding = None,
    ) -> jax.Array:
        """Draw an array.

        Args:
            key: one PRNG key, typed or legacy. `nnx.Rngs` gives a key of its stream `params`. A
                TorchGenerator gives the numbers of torch for torch's array. Constants use no key.
            shape: the shape of your array, with axes as the layout says.
            dtype: the dtype of the result, by default the initializer's own.
            out_sharding: how the result is laid out, on explicit or automatic mesh axes.

        Raises:
            TypeError: `key`, `shape` or `dtype` has the wrong type, or a TorchGenerator is used under `jit`.
            ValueError: the shape, the dtype or the sharding does not fit the initializer.
        """
        dtype = _arguments.resolve_dtype(self.dtype if dtype is None else dtype, stacklevel=4)
        view = self.view(_arguments.dimensions(shape))
        if math.prod(view.shape) >= 2**63:
            raise ValueError(f"`shape` must have fewer than 2**63 entries, got {view.shape}")
        array = self.draw(as_source(key), view, dtype, out_sharding)
        return array if isinstance(array, jax.Array) else device_put(array, out_sharding)

    def view(self, shape: tuple[int, ...]) -> View:
        """Return a valid `shape` as this initializer sees it."""
        return as_stored(shape)

    @abc.abstractmethod
    def draw(self, source: Source, view: View, dtype: np.dtype, out_sharding: OutSharding = None) -> Array:
        """Draw an array of `view.shape` from a source: a JAX array, or a NumPy array if the source is on the host."""

    def __mul__(self, factor: float) -> "Initializer":
        from jaxinit._initializers import scaled  # which extends this class

        return scaled.scaled(self, factor)

    def __truediv__(self, divisor: float) -> "Initializer":
        from jaxinit._initializers import scaled

        return scaled.scaled(self, divisor=divisor)

    __rmul__ = __mul__
    # NumPy's scalars and arrays would multiply an initializer as an object. With None they leave it to `__rmul__`.
    __array_ufunc__ = None

    def with_layouts(self, change: Callable[[Layout], Layout]) -> "Initializer":
        """Return the initializer with its layout changed, and those of the initializers that it is made of."""
        return self

    def _canonical(self, **values: object) -> None:
        """Replace arguments by their one canonical form. The dataclass is frozen, its dict is not."""
        vars(self).update(values)

    def __repr__(self) -> str:
        given = [
            f"{field.name}={_literal(getattr(self, field.name))}"
            for field in sorted(dataclasses.fields(self), key=lambda field: bool(field.kw_only))
            if field.init and self._is_printed(field)
        ]
        return f"{self._namespace}.{type(self).__name__}({', '.join(given)})"

    def _is_printed(self, field: "dataclasses.Field[Any]") -> bool:
        return not (field.kw_only and _is_default(getattr(self, field.name), field.default))

    # A dataclass would compare 0.0 and -0.0 as equal, and hash strings differently in each process.
    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and repr(self) == repr(other)

    def __hash__(self) -> int:
        return zlib.crc32(repr(self).encode())


def _is_default(value: Any, default: Any) -> bool:
    # NumPy reads None as its own default dtype, and calls the two equal.
    return value is default or (default is not None and value == default)


def _literal(value: Any) -> str:
    if isinstance(value, float) and math.isinf(value):
        return f"float('{value}')"
    if isinstance(value, complex):
        return f"complex({_literal(value.real)}, {_literal(value.imag)})"
    if isinstance(value, np.dtype):
        return repr(value.name)
    return repr(value)


class Elementwise(Initializer):
    """Represent an initializer with independent entries, all from one distribution."""

    def distribution(self, shape: Sequence[int]) -> Distribution:
        """Return what each entry of an array of `shape` is drawn from.

        Example:
            >>> jaxinit.xavier_normal().distribution((300, 200))
            Normal(mean=0.0, std=0.06324555320336758)
        """
        return self._distribution(self.view(_arguments.dimensions(shape)))

    @abc.abstractmethod
    def _distribution(self, view: View) -> Distribution: ...

    def draw(self, source: Source, view: View, dtype: np.dtype, out_sharding: OutSharding = None) -> Array:
        return self.draw_from(self._distribution(view), source, view, dtype, out_sharding)

    def draw_from(
        self,
        distribution: Distribution,
        source: Source,
        view: View,
        dtype: np.dtype,
        out_sharding: OutSharding = None,
    ) -> Array:
        """Draw an array as `draw` does, from this initializer's distribution times a number."""
        return source.draw(distribution, view, dtype, out_sharding)

    if typing.TYPE_CHECKING:

        def __mul__(self, factor: float) -> "Elementwise": ...
        def __truediv__(self, divisor: float) -> "Elementwise": ...

        __rmul__ = __mul__


class _AnyLayout:
    """Represent a field that is set to a Layout or to a text for one, and that holds the Layout."""

    def __get__(self, init: Any, kind: type | None = None) -> Layout:
        layout: Layout = FLAX if init is None else vars(init)["layout"]
        return layout

    def __set__(self, init: Any, value: Layout | str) -> None:
        vars(init)["layout"] = as_layout(value)


class WithLayout(Initializer):
    """Represent an initializer that looks at axes.

    Args:
        layout: which axes of your array are torch's `(out, in, *spatial)`, as a Layout or a text such as "HWIO".
    """

    _: dataclasses.KW_ONLY
    layout: _AnyLayout = _AnyLayout()

    def view(self, shape: tuple[int, ...]) -> View:
        return self.layout.view(shape)

    def with_layouts(self, change: Callable[[Layout], Layout]) -> Initializer:
        return dataclasses.replace(self, layout=change(self.layout))


def require_matrix(view: View, name: str) -> None:
    """Raise ValueError if the weights have spatial axes."""
    if len(view.weight) > 2:
        raise ValueError(f"`shape` must give weights of 2 dimensions for {name}, got torch's {view.weight}")


def require_initializer(name: str, value: Any) -> None:
    """Raise TypeError unless `value` is an initializer of jaxinit."""
    if not isinstance(value, Initializer):
        raise TypeError(f"`{name}` must be an initializer such as jaxinit.normal(), got {value!r}")
