"""What torch modules draw their parameters from: the calls on their tensors, recorded while they are built.

A dispatch mode sees every operation that torch runs, and notes it under the memory that it
changes: https://docs.pytorch.org/docs/stable/torch.overrides.html. Nothing of a target is used here.
"""

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from .expected import Expected, constant

Build = Callable[[], torch.nn.Module]


@dataclasses.dataclass(frozen=True)
class Call:
    """Represent one operation that set `size` entries of a tensor, from `start` on."""

    operation: str
    arguments: tuple[float, ...]
    start: int
    size: int

    @property
    def expected(self) -> Expected:
        """Return the distribution of each entry after the operation.

        Raises:
            LookupError: no distribution is known for the operation.
        """
        match self.operation, self.arguments:
            case "uniform_", (low, high):
                return Expected("uniform", low, high - low, low, high)
            case "normal_", (mean, std):
                return Expected("normal", mean, std)
            case "fill_", (value,):
                return constant(value)
        raise LookupError(f"no distribution is known for torch's {self.operation}{self.arguments}")


@dataclasses.dataclass(frozen=True)
class Recorded:
    """Represent a tensor of a module, and the calls that set its entries, in order."""

    shape: tuple[int, ...]
    calls: tuple[Call, ...]

    @property
    def expected(self) -> Expected:
        """Return the distribution of the entries: that of the last call that set all of them."""
        return self.calls[self._last].expected

    @property
    def exceptions(self) -> tuple[Call, ...]:
        """Return later calls that set some entries, for example the padding of an embedding."""
        return self.calls[self._last + 1 :]

    @property
    def _last(self) -> int:
        whole = [index for index, call in enumerate(self.calls) if call.size == math.prod(self.shape)]
        if not whole:
            raise LookupError(f"torch never set all entries of a tensor of shape {self.shape}: {self.calls}")
        return whole[-1]


def record(build: Build) -> tuple[torch.nn.Module, dict[str, Recorded]]:
    """Return the module that `build` makes, and the record of each floating tensor by name."""
    with _Recorder() as recorder:
        module = build()
    tensors = {name: tensor for name, tensor in module.state_dict(keep_vars=True).items() if tensor.is_floating_point()}
    return module, {name: Recorded(tuple(t.shape), recorder.calls(t)) for name, t in tensors.items()}


class _Recorder(TorchDispatchMode):
    """Note each operation under the memory that it changes."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # torch has no types for it
        self._calls: dict[int, list[Call]] = {}
        self._kept: list[Any] = []  # so that no memory is used again

    def __torch_dispatch__(self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        self._kept.append(made)
        if isinstance(made, torch.Tensor):
            self._note(func, args, kwargs or {}, made)
        return made

    def calls(self, tensor: torch.Tensor) -> tuple[Call, ...]:
        return tuple(self._calls.get(_memory(tensor), ()))

    def _note(self, func: Any, args: Sequence[Any], kwargs: Mapping[str, Any], made: torch.Tensor) -> None:
        name = func.overloadpacket.__name__
        # copy.deepcopy clones a tensor: its entries are drawn like those of the original. See TransformerEncoder.
        if name == "clone" and _is_whole(args[0]):
            self._calls[_memory(made)] = list(self.calls(args[0]))
        elif name in ("uniform_", "normal_", "fill_"):
            given = [_given(func, args, kwargs, position) for position in range(1, len(func._schema.arguments))]
            self._add(made, name, tuple(float(value) for value in given if value is not None))
        elif name in _VALUES or name == "full":
            self._add(made, "fill_", (float(args[1]) if name == "full" else _VALUES[name],))
        elif func._schema.is_mutable:
            self._add(made, name, ())

    def _add(self, tensor: torch.Tensor, operation: str, arguments: tuple[float, ...]) -> None:
        call = Call(operation, arguments, int(tensor.storage_offset()), tensor.numel())
        self._calls.setdefault(_memory(tensor), []).append(call)


_VALUES = {"zero_": 0.0, "zeros": 0.0, "zeros_like": 0.0, "ones": 1.0, "ones_like": 1.0}


def _memory(tensor: torch.Tensor) -> int:
    return tensor.untyped_storage().data_ptr()


def _is_whole(tensor: torch.Tensor) -> bool:
    return tensor.numel() * tensor.element_size() == tensor.untyped_storage().nbytes()


def _given(func: Any, args: Sequence[Any], kwargs: Mapping[str, Any], position: int) -> Any:
    """Return an argument of an operation, or its default."""
    parameter = func._schema.arguments[position]
    return args[position] if position < len(args) else kwargs.get(parameter.name, parameter.default_value)
