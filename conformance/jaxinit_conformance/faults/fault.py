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
Arguments = dict[str, Any]
Plant = Callable[[str, str, str], Callable[[Wrong], Wrong]]
"""A decorator, of the name of a fault, the row of the report, and a regular expression over claims."""

DRAWN = "mean|scale|bounds|shape|support|moment .*"
"""The claims about single draws."""


@dataclasses.dataclass(frozen=True)
class Fault:
    """Represent a fault in one initializer or torch module, which a check of that row must catch."""

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


def change(init: Callable[[Factory, Wrong, Arguments], Any], **names: Any) -> Plant:
    """Return a decorator that keeps the signature of the right factory, and builds `init(right, wrong, arguments)`."""

    def build(initializer: str, wrong: Wrong) -> dict[str, Any]:
        right: Factory = getattr(jaxinit, initializer)
        factory = functools.wraps(right)(lambda **given: init(right, wrong, given))
        return {"Layout": jaxinit.Layout, initializer: factory, **names}

    return kind(build)


@change
def arguments(right: Factory, wrong: Wrong, given: Arguments) -> Any:
    """Plant a change of the arguments, a dict."""
    return _bare(right(**wrong(given)))


@change
def layout(right: Factory, wrong: Wrong, given: Arguments) -> Any:
    """Plant a change of the layout."""
    return _bare(right(**{**given, "layout": wrong(given.get("layout", jaxinit.FLAX))}))


@change
def draw(right: Factory, wrong: Wrong, given: Arguments) -> Any:
    """Plant another way to draw: a function of the initializer, the key, the shape and the dtype."""
    return functools.partial(wrong, right(**given))


@change
def array(right: Factory, wrong: Wrong, given: Arguments) -> Any:
    """Plant a change of what is drawn: a function of the array and the initializer."""
    init = right(**given)
    return lambda key, shape, dtype: wrong(init(key, shape, dtype), init).astype(dtype)


@change
def scale(right: Factory, wrong: Wrong, given: Arguments) -> Any:
    """Plant a factor: a function of the initializer and the shape."""
    init = right(**given)
    factor = functools.partial(wrong, init)
    return lambda key, shape, dtype: init(key, shape, dtype) * np.float32(factor(shape)).astype(jnp.dtype(dtype))


def _bare(init: Any) -> Any:
    """Return the initializer as a function, which states no distribution."""
    return lambda key, shape, dtype: init(key, shape, dtype)
