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

from jaxinit._initializers.base import Initializer
from jaxinit._initializers.elementwise import normal, trunc_normal, uniform
from jaxinit._initializers.orthogonal import orthogonal
from jaxinit._initializers.sparse import sparse
from jaxinit._recipes.nodes import Node, Ref
from jaxinit._recipes.operations import OPERATIONS
from jaxinit._recipes.recording.values import Values, dtype_of, memory_order, place, size_of, sizes_in
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
)
_READS_VALUES = ("_local_scalar_dense", "is_nonzero", "equal", "nonzero", "item")
_OPTIONS = ("dtype", "layout", "device", "pin_memory", "memory_format", "non_blocking", "generator", "out")


class NotRecorded(ValueError):  # noqa: N818  # raised as the ValueError that `record` documents
    """The constructor does what no recipe can express."""


class Recorder(TorchDispatchMode):
    """Add a node for each operation on tensors that depend on a draw, or that are too large to compute."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.values = Values()
        self._fake = FakeTensorMode(allow_non_fake_inputs=True)
        self._thread = threading.get_ident()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        space, name = func.name().split("::")
        name = name.partition(".")[0]
        tensors = [each for each in tree_leaves((args, kwargs)) if isinstance(each, torch.Tensor)]
        if space != "aten" or name in _VIEWS_IN_PLACE:
            return func(*args, **kwargs)
        if name in _RANDOM_IN_PLACE:
            return self._draw_in_place(name, args, kwargs)
        if name in _RANDOM or name in _EMPTY or self._is_large_fill(name, args, tensors):
            return self._create(func, name, args, kwargs)
        if not any(map(self._is_symbolic, tensors)):
            return func(*args, **kwargs)
        if name in _READS_VALUES:
            raise NotRecorded(f"`build` reads the values of a tensor that is drawn, by aten.{name} at {place()}")
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
            node = Node(name.removesuffix("_"), rest, size_of(tensor), dtype_of(tensor))
            self.values.write(tensor, self.values.add(node))
            return True
        *numbers, generator = rest
        if generator is not None:
            self.values.write(tensor, self._unknown_draw(f"torch.nn.init.{name}", tensor, has_own=True))
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

    def _is_symbolic(self, tensor: torch.Tensor) -> bool:
        return _is_fake(tensor) or self.values.memory_of(tensor) is not None

    def _is_large_fill(self, name: str, args: tuple[Any, ...], tensors: Sequence[torch.Tensor]) -> bool:
        if name not in _FILLED and name not in _FILLED_WITH:
            return False
        size = tensors[0].shape if name.endswith("_like") else args[1] if name.startswith("new_") else args[0]
        return any(map(self._is_symbolic, tensors)) or math.prod(size) > _LARGEST_REAL

    def _create(self, func: Any, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> torch.Tensor:
        """Return a new fake tensor: with no values yet, filled with a number, or drawn."""
        made: torch.Tensor = self._run(func, args, kwargs)
        memory = self.values.remember(made, None)
        if name in _FILLED or name in _FILLED_WITH:
            number = _FILLED[name] if name in _FILLED else args[-1]
            memory.node = self.values.add(Node("full", (number,), memory.shape, memory.dtype))
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
            self.values.write(made, self._unknown_draw(f"torch.{name}", made, has_own))

    def _draw_in_place(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> torch.Tensor:
        tensor: torch.Tensor = args[0]
        has_own = kwargs.get("generator") is not None
        numbers = [*args[1:], *(value for option, value in kwargs.items() if option != "generator")]
        if name == "uniform_" and not has_own:
            self._draw(tensor, uniform(*numbers))
        elif name == "normal_" and not has_own:
            self._draw(tensor, normal(*numbers))
        else:
            self.values.write(tensor, self._unknown_draw(f"Tensor.{name}", tensor, has_own))
        return tensor

    def _unknown_draw(self, call: str, tensor: torch.Tensor, has_own: bool) -> int:
        """Add the node of a draw that no recipe follows. One from a generator of its own leaves torch's alone."""
        if has_own:
            return self.values.unknown(f"{call} with its own generator", tensor)
        return self.values.unknown(call, tensor, "unknown draw")

    def _draw(self, tensor: torch.Tensor, init: Initializer) -> None:
        """Draw all entries of a tensor, in the order in which its memory holds them, as torch does."""
        order = memory_order(tensor)
        is_whole = tensor.is_contiguous() or isinstance(init, orthogonal)
        shape = size_of(tensor) if is_whole else sizes_in(tensor, order)
        args = (init,) if is_whole else (init, "one by one")
        drawn = node = self.values.add(Node("draw", args, shape, dtype_of(tensor)))
        if not is_whole:
            strides = dict(zip(order, strides_of(shape), strict=True))
            region = Region.of_view(shape, size_of(tensor), tuple(strides[axis] for axis in range(tensor.ndim)), 0)
            node = node if region is None else self.values.read(drawn, region)
        self.values.write(tensor, node)
        memory = self.values.memory_of(tensor)
        if memory is not None:
            memory.draws.append(drawn)

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


def _is_static(indices: Sequence[torch.Tensor | None], values: torch.Tensor) -> bool:
    """Return whether an assignment needs no values to know its size: by integers, or one value by one mask."""
    is_mask = [each is not None and each.dtype == torch.bool for each in indices]
    return not any(is_mask) or (len(is_mask) == 1 and values.numel() == 1)
