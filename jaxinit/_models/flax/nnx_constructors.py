"""Observe the constructors of Flax's layers, and replace the initializers that they use."""

import contextlib
import contextvars
import functools
import inspect
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from flax import nnx

from jaxinit._models.flax.rules import NNX_TABLE as TABLE

Construct = Callable[..., None]
Observe = Callable[[Construct, nnx.Module, inspect.BoundArguments], None]

_observer: contextvars.ContextVar[Observe | None] = contextvars.ContextVar("observer", default=None)
_lock = threading.Lock()
_originals: dict[type, Construct] = {}
_runs: list[Observe] = []


@contextlib.contextmanager
def observed(observe: Observe) -> Iterator[None]:
    """Call `observe` in place of the constructors of Flax's layers, in this thread.

    Flax has no hook for constructors. So those of the classes in the table are wrapped while a run lasts.
    """
    with _lock:
        if not _runs:
            _originals.update({kind: kind.__init__ for kind in TABLE})
            for kind, construct in _originals.items():
                kind.__init__ = _wrapped(construct)  # type: ignore[misc]
        _runs.append(observe)
    token = _observer.set(observe)
    try:
        yield
    finally:
        _observer.reset(token)
        with _lock:
            _runs.remove(observe)
            if not _runs:
                for kind, construct in _originals.items():
                    kind.__init__ = construct  # type: ignore[misc]


def _wrapped(construct: Construct) -> Construct:
    signature = inspect.signature(construct)

    @functools.wraps(construct)
    def run(self: nnx.Module, *args: Any, **kwargs: Any) -> None:
        observe = _observer.get()
        if observe is None:
            construct(self, *args, **kwargs)
        else:
            observe(construct, self, signature.bind(self, *args, **kwargs))

    return run


@functools.cache
def default_inits(construct: Construct) -> dict[str, Any]:
    """Return the initializers that a layer uses by default, by the names of its arguments."""
    parameters = inspect.signature(construct).parameters.items()
    return {name: each.default for name, each in parameters if name.endswith("_init") and callable(each.default)}


def construct_with(
    inits: Mapping[str, Any], construct: Construct, layer: nnx.Module, call: inspect.BoundArguments
) -> None:
    """Construct a layer with `inits` in place of its default initializers, and of those that it was given."""
    asked = {name: call.arguments.get(name, init) for name, init in default_inits(construct).items() if name in inits}
    call.arguments.update(inits)
    construct(*call.args, **call.kwargs)
    # Flax 0.12.0 keeps initializers as attributes.
    vars(layer).update({name: init for name, init in asked.items() if name in vars(layer)})
