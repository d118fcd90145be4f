"""What answers the calls of other frameworks: an error that names the adapter."""

import abc
import functools
import typing
from collections.abc import Callable
from typing import Any, Never, TypeVar

Call = TypeVar("Call", bound=Callable[..., Any])


def in_this_style(call: Call) -> Call:
    """Refuse the calls of other frameworks, and name the adapter for each."""

    @functools.wraps(call)
    def called(self: Any, *args: Any, **kwargs: Any) -> Any:
        if len(args) > 4 or kwargs.keys() & {"in_axis", "out_axis"}:
            raise TypeError(
                "an initializer is called with key, shape, dtype and out_sharding, got `in_axis` or `out_axis` too; "
                "pass jaxinit.at_call(init) to callers that name axes"
            )
        if not (args or "key" in kwargs) or (args and isinstance(args[0], tuple | list)):
            raise TypeError(
                f"`key` must be a JAX PRNG key such as jax.random.key(0), got {args[0] if args else 'none'}; pass "
                "jaxinit.keras.initializer(init) to Keras and jaxinit.haiku.initializer(init) to Haiku, which pass none"
            )
        return call(self, *args, **kwargs)

    return called  # type: ignore[return-value]  # has the same signature


class Kind(abc.ABCMeta):
    """Name the adapter where Keras copies an initializer, as attention does: by `from_config` of its class."""

    if not typing.TYPE_CHECKING:  # a checker would take every name for an attribute

        def __getattr__(cls, name: str) -> Never:
            hint = "; pass jaxinit.keras.initializer(init) to Keras" if name == "from_config" else ""
            raise AttributeError(f"type object {cls.__name__!r} has no attribute {name!r}{hint}", name=name, obj=cls)


def is_shape(value: Any) -> bool:
    """Return whether `value` can only be a shape, which Haiku passes first: a tuple or a list of integers."""
    return isinstance(value, tuple | list) and bool(value) and all(isinstance(size, int) for size in value)
