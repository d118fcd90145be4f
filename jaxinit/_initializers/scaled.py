"""Initializers times a number: `0.5 * init` and `init / math.sqrt(2 * layers)`."""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

from jaxinit import _arguments, distributions
from jaxinit._initializers.base import Elementwise, Initializer, WithLayout
from jaxinit._sampling import dtypes
from jaxinit._sampling.sharding import OutSharding
from jaxinit._sampling.source import Array, Source
from jaxinit.distributions import Distribution, Uniform
from jaxinit.layouts import Layout, View


class Scaled(Initializer):
    """Draw with another initializer, then multiply::

        x = init(...) * factor / divisor

    The dtype and the layout are those of `init`. A change of one changes `init` too.
    """

    init: Initializer
    factor: float
    # Beside the factor, so that `init / x` divides: a product with 1 / x rounds twice.
    divisor: float

    def __post_init__(self) -> None:
        super().__post_init__()
        self._canonical(factor=_arguments.finite("factor", self.factor))
        self._canonical(divisor=_arguments.finite("divisor", self.divisor))
        if not self.divisor:
            raise ValueError("`divisor` must not be 0, got 0.0")
        self._canonical(init=dataclasses.replace(self.init, **_shared(self)))

    def view(self, shape: tuple[int, ...]) -> View:
        return self.init.view(shape)

    def with_layouts(self, change: Callable[[Layout], Layout]) -> Initializer:
        if isinstance(self, WithLayout):
            return super().with_layouts(change)
        return dataclasses.replace(self, init=self.init.with_layouts(change))

    def draw(self, source: Source, view: View, dtype: np.dtype, out_sharding: OutSharding = None) -> Array:
        dtypes.require_inexact(dtype)
        scale = self.factor / self.divisor
        dtypes.check_range(Uniform(-abs(scale), abs(scale)), dtype)
        is_complex = np.issubdtype(dtype, np.complexfloating)
        array = self.init.draw(source, view, dtype if is_complex else dtypes.compute_dtype(dtype), out_sharding)
        multiplied: Array = (array * scale).astype(dtype)
        return multiplied

    def __repr__(self) -> str:
        factor = "" if self.factor == 1 != self.divisor else f"{self.factor} * "
        return f"{factor}{self.init}" + ("" if self.divisor == 1 else f" / {self.divisor}")


class ScaledElementwise(Elementwise, Scaled):
    """Draw from the distribution of the multiplied entries, so that each is rounded once."""

    init: Elementwise

    def _distribution(self, view: View) -> Distribution:
        return distributions.affine(self.init._distribution(view), self.factor, self.divisor)

    @property
    def draw_from(self) -> Callable[..., Array]:  # a property, so that a warning names the same frame
        return self.init.draw_from


class ScaledWithLayout(Scaled, WithLayout):
    """Draw with another initializer that looks at axes, then multiply."""


class ScaledVariance(ScaledElementwise, WithLayout):
    """Draw from the distribution of the multiplied entries, whose variance is set by the fans."""


_KINDS: dict[tuple[bool, bool], type[Scaled]] = {
    (False, False): Scaled,
    (True, False): ScaledElementwise,
    (False, True): ScaledWithLayout,
    (True, True): ScaledVariance,
}


def scaled(init: Initializer, factor: float = 1.0, divisor: float = 1.0) -> Scaled:
    """Return the initializer of `x * factor / divisor`. Factors of a scaled initializer are multiplied.

    Raises:
        TypeError: a number is traced, a boolean or no real number.
        ValueError: a number is NaN or infinite, or `divisor` is 0.
    """
    factor, divisor = _arguments.finite("factor", factor), _arguments.finite("divisor", divisor)
    if isinstance(init, Scaled):
        factor, divisor, init = init.factor * factor, init.divisor * divisor, init.init
    kind = _KINDS[isinstance(init, Elementwise), isinstance(init, WithLayout)]
    return kind(init, factor, divisor, **_shared(init))


def _shared(init: Initializer) -> dict[str, Any]:
    """Return the arguments that a scaled initializer has in common with the one that it scales."""
    return {"dtype": init.dtype} | ({"layout": init.layout} if isinstance(init, WithLayout) else {})
