"""The functions of `torch.nn.init` that must be noted whole, because they look at values or fill entry by entry.

Other modules import these functions by name, and keep them in tables. So each function
object is given other code for the time of a recording, and every name of it sees that.
"""

import contextlib
import functools
import inspect
import types
from collections.abc import Callable, Iterator
from typing import Any

Note = Callable[..., bool]
"""Called with the name, the tensor and the other arguments of a call. Return whether the call was noted."""

_WHOLE = ("trunc_normal_", "orthogonal_", "sparse_", "eye_", "dirac_")
_CALLS: dict[str, Callable[..., Any]] = {}


def _template(*args: Any, **kwargs: Any) -> Any:
    from jaxinit._recipes.recording.torch_calls import called

    return called("NAME", args, kwargs)


def _code(name: str) -> types.CodeType:
    """Return code that calls `called` with a name. As the functions of torch, it has no free variables."""
    code = _template.__code__
    return code.replace(co_consts=tuple(name if value == "NAME" else value for value in code.co_consts))


def called(name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Note a call of `torch.nn.init`, or run it if it is on a tensor of no recording."""
    return _CALLS[name](*args, **kwargs)


@contextlib.contextmanager
def noted(init: types.ModuleType, note: Note) -> Iterator[None]:
    """Have `note` called for each call of the functions in `init`, which is `torch.nn.init`."""
    functions = [getattr(init, name) for name in _WHOLE]
    before = [function.__code__ for function in functions]
    for function in functions:
        own = types.FunctionType(function.__code__, function.__globals__, function.__name__, function.__defaults__)
        _CALLS[function.__name__] = functools.partial(_noted, own, note)
    try:
        for function in functions:
            function.__code__ = _code(function.__name__)
        yield
    finally:
        for function, own_code in zip(functions, before, strict=True):
            function.__code__ = own_code


def _noted(own: types.FunctionType, note: Note, *args: Any, **kwargs: Any) -> Any:
    given = inspect.signature(own).bind(*args, **kwargs)
    given.apply_defaults()
    tensor, *rest = given.args
    return tensor if note(own.__name__, tensor, *rest) else own(*args, **kwargs)
