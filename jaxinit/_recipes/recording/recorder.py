"""Note what a torch model's constructor does, operation by operation, on tensors without memory.

Parameters are fake tensors: torch knows their shapes, and no memory holds their values.
Tensors that do not depend on a random draw are real while they are small, so constants are
computed by torch itself. The values of all others are nodes, and each operation adds one.
"""

import inspect
import math
import threading
from collections.abc import Sequence
from typing import Any

import torch
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from jaxinit._initializers.orthogonal import orthogonal
from jaxinit._recipes.nodes import Node, Ref, initializer, is_draw
from jaxinit._recipes.operations.compute import OPERATIONS
from jaxinit._recipes.recording.draws import Draws
from jaxinit._recipes.recording.values import NotRecorded, Values, dtype_of, place, size_of
from jaxinit.layouts import TORCH

# Constant tensors up to this size are real. Larger ones that are filled with a number are not.
_LARGEST_REAL = 2**24

_EMPTY = ("empty", "empty_like", "empty_strided", "empty_permuted", "new_empty", "new_empty_strided")
_FILLED = {"zeros": 0.0, "ones": 1.0, "zeros_like": 0.0, "ones_like": 1.0, "new_zeros": 0.0, "new_ones": 1.0}
_FILLED_WITH = ("full", "full_like", "new_full")
_VIEWS_IN_PLACE = (
    "set_",
    "detach_",
    "t_",
    "transpose_",
    "squeeze_",
    "unsqueeze_",
    "swapaxes_",
    "swapdims_",
    "as_strided_",
    "resize_",
)
_READS_VALUES = ("_local_scalar_dense", "is_nonzero", "equal", "allclose", "nonzero", "item")
_OPTIONS = ("dtype", "layout", "device", "pin_memory", "memory_format", "non_blocking", "generator", "out")


class Recorder(TorchDispatchMode):
    """Add a node for each operation on tensors that depend on a draw, or that are too large to compute."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.values = Values()
        self.draws = Draws(self.values)
        self._fake = FakeTensorMode(allow_non_fake_inputs=True)
        self._thread = threading.get_ident()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        space, name = func.name().split("::")
        name = name.partition(".")[0]
        tensors = [each for each in tree_leaves((args, kwargs)) if isinstance(each, torch.Tensor)]
        if name == "resize_" and math.prod(args[1]) != args[0].numel():
            raise NotRecorded(f"`build` resizes a tensor, which a recipe cannot express, at {place()}")
        if space != "aten" or name in _VIEWS_IN_PLACE or _is_without_values(tensors, kwargs):
            return func(*args, **kwargs)
        if torch.Tag.nondeterministic_seeded in func.tags:
            return self._random(func, name, args, kwargs)
        if name in _EMPTY or self._is_large_fill(name, args, tensors):
            return self._create(func, name, args, kwargs)
        if not any(map(self._is_symbolic, tensors)):
            return func(*args, **kwargs)
        if name in _READS_VALUES:
            raise NotRecorded(f"`build` reads the values of a tensor that is drawn, by aten.{name} at {place()}")
        if name.endswith("_") and not name.endswith("__") and isinstance(args[0], torch.Tensor):
            return self._in_place(name.removesuffix("_"), args[0], args, kwargs)
        if isinstance(kwargs.get("out"), torch.Tensor):
            return self._in_place(name, kwargs["out"], args, kwargs)
        return self._functional(func, name, args, kwargs, tensors)

    def note(self, name: str, args: Sequence[Any]) -> Any:
        """Note a whole call of one of torch's functions, and return its result, or NotImplemented to have it run."""
        tensor, *rest = args
        is_empty = name == "orthogonal_" and tensor.numel() == 0
        if threading.get_ident() != self._thread or tensor.is_meta or is_empty:
            return NotImplemented
        if name == "_is_orthogonal":
            return self._is_orthogonal(tensor) if self._is_symbolic(tensor) else NotImplemented
        if name == "_make_orthogonal":
            if not self._is_symbolic(tensor):
                return NotImplemented
            made = torch.empty_like(tensor)
            node = Node("orthogonalize", (Ref(self.values.value(tensor)),), size_of(made), dtype_of(made))
            self.values.write(made, self.values.add(node))
            return made
        if name in ("eye_", "dirac_"):
            node = Node(name.removesuffix("_"), tuple(rest), size_of(tensor), dtype_of(tensor))
            self.values.write(tensor, self.values.add(node))
        else:
            *numbers, generator = rest
            self.draws.whole(name, tensor, numbers, generator)
        return tensor

    def _is_orthogonal(self, tensor: torch.Tensor) -> bool:
        """Return whether a drawn matrix is orthogonal: only one that is drawn so. Any other is not, with certainty."""
        nodes, index = self.values.nodes, self.values.value(tensor)
        while nodes[index].op == "read":
            index = nodes[index].inputs[0]
        return is_draw(nodes[index]) and initializer(nodes[index]) == orthogonal(layout=TORCH)

    def _is_symbolic(self, tensor: torch.Tensor) -> bool:
        return _is_fake(tensor) or self.values.memory_of(tensor) is not None

    def _is_large_fill(self, name: str, args: tuple[Any, ...], tensors: Sequence[torch.Tensor]) -> bool:
        if name not in _FILLED and name not in _FILLED_WITH:
            return False
        size = tensors[0].shape if name.endswith("_like") else args[1] if name.startswith("new_") else args[0]
        return any(map(self._is_symbolic, tensors)) or math.prod(size) > _LARGEST_REAL

    def _create(self, func: Any, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> torch.Tensor:
        """Return a new fake tensor: with no values yet, or filled with a number."""
        made: torch.Tensor = self._run(func, args, kwargs)
        memory = self.values.remember(made, None)
        if name not in _EMPTY:
            number = _FILLED[name] if name in _FILLED else args[-1]
            memory.node = self.values.add(Node("full", (number,), memory.shape, memory.dtype))
        return made

    def _random(self, func: Any, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Note a call that takes numbers from a generator."""
        if name.endswith("_"):
            return self.draws.in_place(name, args, kwargs)
        result = self._run(func, args, kwargs)
        for made in tree_leaves(result):
            self.values.remember(made, None)
            self.draws.new(func, name, args, kwargs, made)
        return result

    def _in_place(self, name: str, tensor: torch.Tensor, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Note an operation that writes its result to `tensor`."""
        shape, dtype = size_of(tensor), dtype_of(tensor)
        if name == "zero":
            node = self.values.add(Node("full", (0.0,), shape, dtype))
        elif name == "fill" and not isinstance(args[1], torch.Tensor):
            node = self.values.add(Node("full", (args[1],), shape, dtype))
        elif name in ("copy", "fill") and size_of(args[1]) == shape and dtype_of(args[1]) == dtype:
            node = self.values.value(args[1])
        elif name in ("copy", "fill"):
            node = self.values.add(
                Node("copy", (Ref(self.values.value(tensor)), Ref(self.values.value(args[1]))), shape, dtype)
            )
        else:
            node = self._compute(name, args, kwargs, tensor)
        self.values.write(tensor, node)
        return tensor

    def _functional(
        self, func: Any, name: str, args: tuple[Any, ...], kwargs: dict[str, Any], tensors: Sequence[torch.Tensor]
    ) -> Any:
        """Run an operation for its shapes, and give each result that is no view of an input its node."""
        result = self._run(func, args, kwargs) if any(map(_is_fake, tensors)) else func(*args, **kwargs)
        made = [each for each in tree_leaves(result) if isinstance(each, torch.Tensor)]
        known = {id(each.untyped_storage()) for each in tensors}
        new = [each for each in made if id(each.untyped_storage()) not in known]
        for each in _written(func, name, args):
            self.values.write(each, self.values.unknown(f"aten.{name}", each))
        for each in new:
            whole = len(made) == 1
            self.values.remember(
                each, self._compute(name, args, kwargs, each) if whole else self.values.unknown(f"aten.{name}", each)
            )
        return result

    def _run(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Run an operation on tensors without values."""
        try:
            with self._fake:
                return func(*args, **kwargs)
        except RuntimeError as error:
            raise NotRecorded(f"`build` calls {func} at {place()}, which fails without values: {error}") from error
        finally:
            # `Module.to` refuses tensors with weak references, and this memo holds some.
            self._fake.fake_tensor_converter.tensor_memo.clear()

    def _compute(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any], like: torch.Tensor) -> int:
        """Add the node of an operation of which `like` has the shape and dtype of the result."""
        operation = name.lstrip("_")
        given = {option: value for option, value in kwargs.items() if option not in _OPTIONS}
        try:
            bound = inspect.signature(OPERATIONS[operation]).bind(None, *args, **given)
        except (KeyError, TypeError):
            return self.values.unknown(f"aten.{name}", like)
        if operation == "index_put" and not _is_static(*bound.args[2:4]):
            return self.values.unknown(f"aten.{name}", like)
        bound.apply_defaults()
        return self.values.add(Node(operation, self._refs(bound.args[1:]), size_of(like), dtype_of(like)))

    def _refs(self, value: Any) -> Any:
        if isinstance(value, torch.Tensor):
            return Ref(self.values.value(value))
        return tuple(map(self._refs, value)) if isinstance(value, (list, tuple)) else value


def _is_fake(tensor: torch.Tensor) -> bool:
    return isinstance(tensor, FakeTensor)


def _is_without_values(tensors: Sequence[torch.Tensor], kwargs: dict[str, Any]) -> bool:
    """Return whether a call is on the device meta, where torch draws nothing."""
    device = kwargs.get("device")
    on = {tensor.device.type for tensor in tensors} if device is None else {torch.device(device).type}
    return on == {"meta"}


def _written(func: Any, name: str, args: tuple[Any, ...]) -> list[torch.Tensor]:
    """Return the tensors that a function changes beside what it returns."""
    places = [i for i, each in enumerate(func._schema.arguments) if each.alias_info and each.alias_info.is_write]
    chosen = [args[place] for place in places if place < len(args)]
    if name == "native_batch_norm" and args[5]:  # the schema does not say that training changes the statistics
        chosen += args[3:5]
    return [each for each in tree_leaves(chosen) if isinstance(each, torch.Tensor)]


def _is_static(indices: Sequence[torch.Tensor | None], values: torch.Tensor) -> bool:
    """Return whether an assignment needs no values to know its size: by integers, or one value by one mask."""
    is_mask = [each is not None and each.dtype == torch.bool for each in indices]
    return not any(is_mask) or (len(is_mask) == 1 and values.numel() == 1)
