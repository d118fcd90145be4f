"""A planted fault, and the decorators that plant one.

The decorated function is what is wrong. The decorator says what the fault is called, which row
of the report it belongs to, and which claims must catch it. What is built states no distribution,
so that it is judged by its draws, as any foreign target is.
"""

import collections
import dataclasses
import functools
import types
from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np

import jaxinit

from ..targets import Target

Wrong = Callable[..., Any]
Factory = Callable[..., Any]
Plant = Callable[[str, str, str], Callable[[Wrong], Wrong]]
"""A decorator, of the name of a fault, the row of the report, and a regular expression over claims."""

DRAWN = "mean|scale|bounds|shape|support|moment .*"
"""The claims about single draws."""


@dataclasses.dataclass(frozen=True)
class Fault:
    """A fault in one initializer or torch module, which a check of that row must catch."""

    name: str
    initializer: str
    claims: str
    """A regular expression. The check that catches the fault has such a claim."""
    namespace: types.SimpleNamespace
    """What is under test in place of jaxinit."""

    def target(self) -> Target:
        return Target(self.name, self.namespace)


PLANTED: dict[str, list[Fault]] = collections.defaultdict(list)
"""Every fault, by the name of the file that plants it."""


def kind(build: Callable[[str, Wrong], dict[str, Any]]) -> Plant:
    """Return the decorator whose faults have the namespace that `build` returns."""

    def plant(name: str, initializer: str, claims: str) -> Callable[[Wrong], Wrong]:
        def decorate(wrong: Wrong) -> Wrong:
            namespace = types.SimpleNamespace(**build(initializer, wrong))
            PLANTED[wrong.__module__].append(Fault(name, initializer, claims, namespace))
            return wrong

        return decorate

    return plant


@kind
def factory(initializer: str, wrong: Wrong) -> dict[str, Any]:
    """Plant the function itself, as the initializer's factory."""
    return {"Layout": jaxinit.Layout, initializer: wrong}


def _kind(wrap: Callable[[Factory, Wrong], Factory]) -> Plant:
    """Return a decorator whose faults change the right factory, and keep its signature."""

    def build(initializer: str, wrong: Wrong) -> dict[str, Any]:
        right = getattr(jaxinit, initializer)
        return {"Layout": jaxinit.Layout, initializer: functools.wraps(right)(wrap(right, wrong))}

    return kind(build)


@_kind
def arguments(right: Factory, wrong: Wrong) -> Factory:
    """Plant a change of the arguments, a dict."""

    def build(**given: Any) -> Any:
        init = right(**wrong(given))
        return lambda key, shape, dtype: init(key, shape, dtype)

    return build


@_kind
def layout(right: Factory, wrong: Wrong) -> Factory:
    """Plant a change of the layout."""

    def build(**given: Any) -> Any:
        init = right(**{**given, "layout": wrong(given.get("layout", jaxinit.FLAX))})
        return lambda key, shape, dtype: init(key, shape, dtype)

    return build


@_kind
def draw(right: Factory, wrong: Wrong) -> Factory:
    """Plant another way to draw: a function of the initializer, the key, the shape and the dtype."""
    return lambda **given: functools.partial(wrong, right(**given))


@_kind
def array(right: Factory, wrong: Wrong) -> Factory:
    """Plant a change of what is drawn: a function of the array and the initializer."""

    def build(**given: Any) -> Any:
        init = right(**given)
        return lambda key, shape, dtype: wrong(init(key, shape, dtype), init).astype(dtype)

    return build


@_kind
def scale(right: Factory, wrong: Wrong) -> Factory:
    """Plant a factor: a function of the initializer and the shape."""

    def build(**given: Any) -> Any:
        init = right(**given)
        factor = functools.partial(wrong, init)
        return lambda key, shape, dtype: init(key, shape, dtype) * np.float32(factor(shape)).astype(jnp.dtype(dtype))

    return build
