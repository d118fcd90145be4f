"""Note what a torch model's constructor does, operation by operation, on tensors without memory.

Parameters are fake tensors: torch knows their shapes, and no memory holds their values.
Tensors that do not depend on a random draw are real while they are small, so constants are
computed by torch itself. The values of all others are nodes, and each operation adds one.
"""

import dataclasses
import inspect
import math
import threading
import traceback
from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from jaxinit._initializers.base import Initializer
from jaxinit._initializers.elementwise import normal, trunc_normal, uniform
from jaxinit._initializers.orthogonal import orthogonal
from jaxinit._initializers.sparse import sparse
from jaxinit._recipes.nodes import Data, Node, Ref
from jaxinit._recipes.operations import OPERATIONS
from jaxinit._recipes.regions import Region, strides_of
from jaxinit.layouts import TORCH

# Constant tensors up to this size are real. Larger ones that are filled with a number are not.
_LARGEST_REAL = 2**24

_EMPTY = ("empty", "empty_like", "empty_strided", "empty_permuted", "new_empty", "new_empty_strided")
_FILLED = {"zeros": 0.0, "ones": 1.0, "zeros_like": 0.0, "ones_like": 1.0, "new_zeros": 0.0, "new_ones": 1.0}
_FILLED_WITH = ("full", "full_like", "new_full")
_RANDOM = ("rand", "randn", "rand_like", "randn_like", "normal", "bernoulli", "randint", "randint_like", "randperm")
_RANDOM_IN_PLACE = (
    "uniform_",
    "normal_",
    "random_",
    "bernoulli_",
    "exponential_",
    "geometric_",
    "cauchy_",
    "log_normal_",
)
_READS_VALUES = ("_local_scalar_dense", "is_nonzero", "equal", "nonzero", "item")
_OPTIONS = ("dtype", "layout", "device", "pin_memory", "memory_format", "non_blocking", "generator", "out")


class NotRecorded(ValueError):  # noqa: N818  # raised as the ValueError that `record` documents
    """The constructor does what no recipe can express."""


@dataclasses.dataclass
class Memory:
    """The storage of a tensor whose values are a node's. `shape` is the order in which the storage holds them."""

    storage: Any
    shape: tuple[int, ...]
    dtype: str
    node: int | None = None
    draws: list[int] = dataclasses.field(default_factory=list)


class Recorder(TorchDispatchMode):
    """Add a node for each operation on tensors that depend on a draw, or that are too large to compute."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.nodes: list[Node] = []
        self._fake = FakeTensorMode(allow_non_fake_inputs=True)
        self._memories: dict[int, Memory] = {}
        self._thread = threading.get_ident()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        space, name = func.name().split("::")
        name = name.partition(".")[0]
        tensors = [each for each in tree_leaves((args, kwargs)) if isinstance(each, torch.Tensor)]
        if space != "aten" or name == "set_":
            return func(*args, **kwargs)
        if name in _RANDOM_IN_PLACE:
            return self._draw_in_place(name, args, kwargs)
        if name in _RANDOM or name in _EMPTY or self._is_large_fill(name, args, tensors):
            return self._create(func, name, args, kwargs)
        if not any(map(self._is_symbolic, tensors)):
            return func(*args, **kwargs)
        if name in _READS_VALUES:
            raise NotRecorded(f"`build` reads the values of a tensor that is drawn, by aten.{name} at {_place()}")
        if name.endswith("_") and not name.endswith("__"):
            return self._in_place(name.removesuffix("_"), args[0], args, kwargs)
        if isinstance(kwargs.get("out"), torch.Tensor):
            return self._in_place(name, kwargs["out"], args, kwargs)
        return self._functional(func, name, args, kwargs, tensors)

    def note(self, name: str, tensor: torch.Tensor, *rest: Any) -> bool:
        """Add the node of a whole call of `torch.nn.init`, and return whether that is done."""
        if threading.get_ident() != self._thread or (name == "orthogonal_" and tensor.numel() == 0):
            return False
        if name in ("eye_", "dirac_"):
            self._write(tensor, self._add(Node(name.removesuffix("_"), rest, _size(tensor), _dtype(tensor))))
            return True
        *numbers, generator = rest
        if generator is not None:
            self._write(tensor, self._unknown_draw(f"torch.nn.init.{name}", tensor, has_own=True))
            return True
        init: Initializer
        match name, numbers:
            case "trunc_normal_", (mean, std, a, b):
                init = trunc_normal(mean, std, a, b)
            case "orthogonal_", (gain,):
                init = orthogonal(gain, layout=TORCH)
            case _, (sparsity, std):
                init = sparse(sparsity, std, layout=TORCH)
        self._draw(tensor, init)
        return True

    def value(self, tensor: torch.Tensor) -> int:
        """Return the node of a tensor's present values."""
        memory = self._memory(tensor)
        if memory is None:
            return self._add(_constant(tensor))
        if tensor.numel() == 0:
            return self._add(Node("full", (0.0,), _size(tensor), _dtype(tensor)))
        region = self._region(memory, tensor)
        if region is None:
            return self._unknown(f"a view of shape {_size(tensor)} and strides {tensor.stride()}", tensor)
        return self._read(self._value_of_all(memory), region)

    def draws_to(self, tensor: torch.Tensor) -> Sequence[int]:
        """Return the draws that were written to a tensor, whether they were overwritten or not."""
        memory = self._memory(tensor)
        return memory.draws if memory else ()

    def _is_symbolic(self, tensor: torch.Tensor) -> bool:
        return isinstance(tensor, FakeTensor) or self._memory(tensor) is not None

    def _memory(self, tensor: torch.Tensor) -> Memory | None:
        return self._memories.get(id(tensor.untyped_storage()))

    def _region(self, memory: Memory, tensor: torch.Tensor) -> Region | None:
        if _dtype(tensor) != memory.dtype:
            return None
        return Region.of_view(memory.shape, _size(tensor), tuple(tensor.stride()), int(tensor.storage_offset()))

    def _add(self, node: Node) -> int:
        self.nodes.append(node)
        return len(self.nodes) - 1

    def _unknown(self, call: str, tensor: torch.Tensor, op: str = "unknown") -> int:
        return self._add(Node(op, (f"{call} at {_place()}",), _size(tensor), _dtype(tensor)))

    def _remember(self, tensor: torch.Tensor, node: int | None) -> Memory:
        """Give a new tensor its memory, whose values are those of a node in the tensor's shape."""
        storage = tensor.untyped_storage()
        order = _storage_order(tensor)
        shape = (storage.nbytes() // tensor.element_size(),) if order is None else _sizes(tensor, order)
        memory = self._memories[id(storage)] = Memory(storage, shape, _dtype(tensor))
        if node is not None:
            self._write(tensor, node)
        return memory

    def _write(self, tensor: torch.Tensor, node: int) -> None:
        """Write the values of a node, which has the tensor's shape, to the tensor."""
        memory = self._memory(tensor)
        if memory is None:  # a real tensor, whose values depend on a draw from now on
            whole = torch.zeros(0, dtype=tensor.dtype).set_(tensor.untyped_storage())
            shown = tensor if _storage_order(tensor) is not None else whole
            before = self._add(_constant(shown))
            memory = self._remember(shown, before)
        region = self._region(memory, tensor)
        if tensor.numel() == 0:
            return
        if region is None:
            memory.node = self._unknown(f"a write to a view of shape {_size(tensor)}", tensor)
        elif region.is_whole:
            memory.node = self._read(node, region.inverse(memory.shape))
        else:
            before = self._value_of_all(memory)
            memory.node = self._add(Node("write", (Ref(before), region, Ref(node)), memory.shape, memory.dtype))

    def _read(self, index: int, region: Region) -> int:
        """Add the node of a region of a node, unless the two are the same."""
        node = self.nodes[index]
        if region.is_identity and region.size == node.shape:
            return index
        return self._add(Node("read", (Ref(index), region), region.size, node.dtype))

    def _value_of_all(self, memory: Memory) -> int:
        """Return the node of a memory, which is `empty` if nothing was written to it."""
        if memory.node is None:
            memory.node = self._add(Node("empty", (), memory.shape, memory.dtype))
        return memory.node

    def _is_large_fill(self, name: str, args: tuple[Any, ...], tensors: Sequence[torch.Tensor]) -> bool:
        if name not in _FILLED and name not in _FILLED_WITH:
            return False
        size = tensors[0].shape if name.endswith("_like") else args[1] if name.startswith("new_") else args[0]
        return any(map(self._is_symbolic, tensors)) or math.prod(size) > _LARGEST_REAL

    def _create(self, func: Any, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> torch.Tensor:
        """Return a new fake tensor: with no values yet, filled with a number, or drawn."""
        with self._fake:
            made: torch.Tensor = func(*args, **kwargs)
        memory = self._remember(made, None)
        if name in _FILLED or name in _FILLED_WITH:
            number = _FILLED[name] if name in _FILLED else args[-1]
            memory.node = self._add(Node("full", (number,), memory.shape, memory.dtype))
        elif name in _RANDOM:
            self._draw_new(func, name, args, kwargs, made)
        return made

    def _draw_new(self, func: Any, name: str, args: Any, kwargs: dict[str, Any], made: torch.Tensor) -> None:
        has_own = any(isinstance(each, torch.Generator) for each in (*args, *kwargs.values()))
        if name in ("rand", "rand_like") and not has_own:
            self._draw(made, uniform())
        elif name in ("randn", "randn_like") and not has_own:
            self._draw(made, normal())
        elif str(func) == "aten.normal.float_float" and not has_own:
            self._draw(made, normal(*args[:2]))
        else:
            self._write(made, self._unknown_draw(f"torch.{name}", made, has_own))

    def _draw_in_place(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> torch.Tensor:
        tensor: torch.Tensor = args[0]
        has_own = kwargs.get("generator") is not None
        numbers = [*args[1:], *(value for option, value in kwargs.items() if option != "generator")]
        if name == "uniform_" and not has_own:
            self._draw(tensor, uniform(*numbers))
        elif name == "normal_" and not has_own:
            self._draw(tensor, normal(*numbers))
        else:
            self._write(tensor, self._unknown_draw(f"Tensor.{name}", tensor, has_own))
        return tensor

    def _unknown_draw(self, call: str, tensor: torch.Tensor, has_own: bool) -> int:
        """Add the node of a draw that no recipe follows. One from a generator of its own leaves torch's alone."""
        if has_own:
            return self._unknown(f"{call} with its own generator", tensor)
        return self._unknown(call, tensor, "unknown draw")

    def _draw(self, tensor: torch.Tensor, init: Initializer) -> None:
        """Draw all entries of a tensor, in the order in which its memory holds them, as torch does."""
        order = _memory_order(tensor)
        is_whole = tensor.is_contiguous() or isinstance(init, orthogonal)
        shape = _size(tensor) if is_whole else _sizes(tensor, order)
        args = (init,) if is_whole else (init, "one by one")
        drawn = node = self._add(Node("draw", args, shape, _dtype(tensor)))
        if not is_whole:
            strides = dict(zip(order, strides_of(shape), strict=True))
            region = Region.of_view(shape, _size(tensor), tuple(strides[axis] for axis in range(tensor.ndim)), 0)
            node = node if region is None else self._read(drawn, region)
        self._write(tensor, node)
        memory = self._memory(tensor)
        if memory is not None:
            memory.draws.append(drawn)

    def _in_place(self, name: str, tensor: torch.Tensor, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Note an operation that writes its result to `tensor`."""
        shape, dtype = _size(tensor), _dtype(tensor)
        if name == "zero":
            node = self._add(Node("full", (0.0,), shape, dtype))
        elif name == "fill" and not isinstance(args[1], torch.Tensor):
            node = self._add(Node("full", (args[1],), shape, dtype))
        elif name in ("copy", "fill") and _size(args[1]) == shape and _dtype(args[1]) == dtype:
            node = self.value(args[1])
        elif name in ("copy", "fill"):
            node = self._add(Node("copy", (Ref(self.value(tensor)), Ref(self.value(args[1]))), shape, dtype))
        else:
            node = self._compute(name, args, kwargs, tensor)
        self._write(tensor, node)
        return tensor

    def _functional(
        self, func: Any, name: str, args: tuple[Any, ...], kwargs: dict[str, Any], tensors: Sequence[torch.Tensor]
    ) -> Any:
        """Run an operation for its shapes, and give each result that is no view of an input its node."""
        if any(isinstance(each, FakeTensor) for each in tensors):
            with self._fake:
                result = func(*args, **kwargs)
        else:
            result = func(*args, **kwargs)
        made = [each for each in tree_leaves(result) if isinstance(each, torch.Tensor)]
        known = {id(each.untyped_storage()) for each in tensors}
        new = [each for each in made if id(each.untyped_storage()) not in known]
        for each in new:
            whole = len(made) == 1
            self._remember(
                each, self._compute(name, args, kwargs, each) if whole else self._unknown(f"aten.{name}", each)
            )
        return result

    def _compute(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any], like: torch.Tensor) -> int:
        """Add the node of an operation of which `like` has the shape and dtype of the result."""
        operation = name.lstrip("_")
        given = {option: value for option, value in kwargs.items() if option not in _OPTIONS}
        try:
            bound = inspect.signature(OPERATIONS[operation]).bind(None, *args, **given)
        except (KeyError, TypeError):
            return self._unknown(f"aten.{name}", like)
        bound.apply_defaults()
        return self._add(Node(operation, self._refs(bound.args[1:]), _size(like), _dtype(like)))

    def _refs(self, value: Any) -> Any:
        if isinstance(value, torch.Tensor):
            return Ref(self.value(value))
        return tuple(map(self._refs, value)) if isinstance(value, (list, tuple)) else value


def _constant(tensor: torch.Tensor) -> Node:
    """Return the node of a real tensor's values."""
    flat = tensor.detach().contiguous().reshape(-1)
    if flat.numel() and not flat.is_complex() and bool((flat == flat[0]).all()):
        return Node("full", (flat[0].item(),), _size(tensor), _dtype(tensor))
    return Node("data", (constant_data(tensor),), _size(tensor), _dtype(tensor))


def constant_data(tensor: torch.Tensor) -> Data:
    """Return the values of a real tensor."""
    flat = tensor.detach().contiguous().reshape(-1)
    content = flat.view(torch.uint8).numpy().tobytes() if flat.numel() else b""
    return Data(content, _size(tensor), _dtype(tensor))


def _size(tensor: torch.Tensor) -> tuple[int, ...]:
    return tuple(map(int, tensor.shape))


def _sizes(tensor: torch.Tensor, order: Iterable[int]) -> tuple[int, ...]:
    return tuple(int(tensor.shape[axis]) for axis in order)


def _dtype(tensor: torch.Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")


def _memory_order(tensor: torch.Tensor) -> list[int]:
    """Return the axes from the one with the longest stride to the one with the shortest."""
    strides = tensor.stride()
    return sorted(range(tensor.ndim), key=lambda axis: -strides[axis])


def _storage_order(tensor: torch.Tensor) -> list[int] | None:
    """Return the axes in the order in which the storage holds them, or None if the tensor is not the whole storage."""
    order = _memory_order(tensor)
    strides = tuple(tensor.stride(axis) for axis in order)
    is_whole = tensor.untyped_storage().nbytes() == tensor.numel() * tensor.element_size()
    sizes = _sizes(tensor, order)
    fits = all(a == b or n == 1 for a, b, n in zip(strides, strides_of(sizes), sizes, strict=True))
    return order if is_whole and fits else None


def _place() -> str:
    """Return the file and line outside of torch and of jaxinit that is being run."""
    ours = ("/torch/", "/jaxinit/_recipes/")
    frames = [frame for frame in traceback.extract_stack() if not any(part in frame.filename for part in ours)]
    return f"{frames[-1].filename}:{frames[-1].lineno}" if frames else "an unknown place"
