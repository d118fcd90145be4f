"""Functions of torch that must be noted whole, because they look at values or fill entry by entry.

Other modules import these functions by name, and keep them in tables. So each function
object is given other code for the time of a recording, and every name of it sees that.
"""

import contextlib
import functools
import inspect
import types
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch._subclasses.fake_tensor import FakeTensor
from torch.nn import parameter
from torch.nn.utils import parametrizations
from torch.utils._python_dispatch import _disable_current_modes

Note = Callable[..., Any]
"""Called with the name and all arguments of a call. Return its result, or NotImplemented to have it run."""

_NOTED = (
    *(getattr(torch.nn.init, f"{name}_") for name in ("trunc_normal", "orthogonal", "sparse", "eye", "dirac")),
    parametrizations._is_orthogonal,
    parametrizations._make_orthogonal,
)
_DATA: Any = torch.Tensor.data
_CALLS: dict[str, Callable[..., Any]] = {}


def _template(*args: Any, **kwargs: Any) -> Any:
    from jaxinit._recipes.recording.torch_calls import called

    return called("NAME", args, kwargs)


def _code(name: str) -> types.CodeType:
    """Return code that calls `called` with a name. As the functions of torch, it has no free variables."""
    code = _template.__code__
    return code.replace(co_consts=tuple(name if value == "NAME" else value for value in code.co_consts))


def called(name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Note a call of a function of torch, or run it if it is on a tensor of no recording."""
    return _CALLS[name](*args, **kwargs)


@contextlib.contextmanager
def noted(note: Note) -> Iterator[None]:
    """Have `note` called for each call of a function that must be noted whole, and let lazy modules be recorded."""
    mixin: Any = parameter.UninitializedTensorMixin  # type: ignore[attr-defined]  # torch's stubs do not have it
    functions: list[tuple[Any, Callable[..., Any]]] = [
        *((function, functools.partial(_noted, note)) for function in _NOTED),
        *((each.__new__, _lazy) for each in (parameter.UninitializedParameter, parameter.UninitializedBuffer)),
        (mixin.materialize, _materialize),
    ]
    before = [function.__code__ for function, _ in functions]
    for function, call in functions:
        own = types.FunctionType(function.__code__, function.__globals__, function.__name__, function.__defaults__)
        _CALLS[function.__qualname__] = functools.partial(call, own)
    try:
        for function, _ in functions:
            function.__code__ = _code(function.__qualname__)
        yield
    finally:
        for (function, _), own_code in zip(functions, before, strict=True):
            function.__code__ = own_code


def _noted(note: Note, own: types.FunctionType, *args: Any, **kwargs: Any) -> Any:
    given = inspect.signature(own).bind(*args, **kwargs)
    given.apply_defaults()
    result = note(own.__name__, given.args)
    return own(*args, **kwargs) if result is NotImplemented else result


def _lazy(own: types.FunctionType, *args: Any, **kwargs: Any) -> Any:
    """Return a parameter of unknown shape. It is a real tensor: torch makes no subclass of a fake one."""
    with _disable_current_modes():
        return own(*args, **kwargs)


@contextlib.contextmanager
def data_may_be_set() -> Iterator[None]:
    """Let `tensor.data = other` put a fake tensor where a real one was, and a real one where a fake one was."""
    kind: Any = torch.Tensor  # `data` is of its base class
    kind.data = property(_DATA.__get__, _set_data)
    try:
        yield
    finally:
        del kind.data


def _set_data(tensor: torch.Tensor, value: torch.Tensor) -> None:
    if isinstance(value, FakeTensor) and not isinstance(tensor, FakeTensor):
        is_parameter = isinstance(tensor, torch.nn.Parameter)
        new = torch.nn.Parameter(value, tensor.requires_grad) if is_parameter else value.detach()
        torch.utils.swap_tensors(tensor, new)
        return
    if isinstance(tensor, FakeTensor) and not isinstance(value, FakeTensor):
        value = torch.empty_like(value).copy_(value)
    _DATA.__set__(tensor, value)


def _materialize(_: types.FunctionType, lazy: Any, shape: Any, device: Any = None, dtype: Any = None) -> None:
    """Give a lazy parameter its shape. A real tensor cannot hold a fake one, so the two change places."""
    data = torch.empty(shape, device=device or lazy.data.device, dtype=dtype or lazy.data.dtype)
    is_parameter = isinstance(lazy, parameter.UninitializedParameter)
    torch.utils.swap_tensors(lazy, torch.nn.Parameter(data, lazy.requires_grad) if is_parameter else data)
