"""The values of tensors while a model is recorded: each storage has the node of what it holds."""

import dataclasses
import math
import traceback
from collections.abc import Iterable, Sequence
from typing import Any

import torch

from jaxinit._recipes.nodes import Data, Node, Ref
from jaxinit._recipes.regions import Region, Strided, region_of, strides_of

_REAL = {"complex64": "float32", "complex128": "float64"}


class NotRecorded(ValueError):  # noqa: N818  # raised as the ValueError that `record` documents
    """Signal that the constructor does what no recipe can express."""


@dataclasses.dataclass
class Memory:
    """Represent the storage of a tensor whose values are a node's. `shape` is the order in which the storage holds
    them.
    """

    storage: Any
    shape: tuple[int, ...]
    dtype: str
    node: int | None = None
    draws: list[int] = dataclasses.field(default_factory=list)


class Values:
    """Represent the nodes of a recording, and which of them holds the present values of each tensor.

    A tensor without a memory is real: torch holds its values, and they depend on no draw.
    """

    def __init__(self) -> None:
        self.nodes: list[Node] = []
        self._memories: dict[int, Memory] = {}

    def value(self, tensor: torch.Tensor) -> int:
        """Return the node of a tensor's present values."""
        memory = self.memory_of(tensor)
        if memory is None:
            return self.add(_constant(tensor))
        if tensor.numel() == 0:
            return self.add(Node("full", (0.0,), size_of(tensor), dtype_of(tensor)))
        seen = self._seen_as(memory, dtype_of(tensor))
        region = None if seen is None else _region(self.nodes[seen].shape, tensor)
        if seen is None or region is None:
            return self.unknown(f"a view of shape {size_of(tensor)} and strides {tensor.stride()}", tensor)
        return self.read(seen, region)

    def draws_to(self, tensor: torch.Tensor) -> Sequence[int]:
        """Return the draws that were written to a tensor, whether they were overwritten or not."""
        memory = self.memory_of(tensor)
        return memory.draws if memory else ()

    def memory_of(self, tensor: torch.Tensor) -> Memory | None:
        return self._memories.get(id(tensor.untyped_storage()))

    def _seen_as(self, memory: Memory, dtype: str) -> int | None:
        """Return the node of a memory as a tensor of `dtype` sees it: numbers, or the pairs of complex ones."""
        index = self._value_of_all(memory)
        if dtype == memory.dtype:
            return index
        size = math.prod(memory.shape)
        if _REAL.get(memory.dtype) == dtype:
            return self._add_view("view_as_real", index, (*memory.shape, 2), dtype)
        if _REAL.get(dtype) == memory.dtype and size % 2 == 0:
            return self._add_view("view_as_complex", index, (size // 2,), dtype)
        return None

    def _add_view(self, op: str, index: int, shape: tuple[int, ...], dtype: str) -> int:
        return self.add(Node(op, (Ref(index), shape), shape, dtype))

    def add(self, node: Node) -> int:
        self.nodes.append(node)
        return len(self.nodes) - 1

    def unknown(self, call: str, tensor: torch.Tensor, op: str = "unknown") -> int:
        return self.add(Node(op, (f"{call} at {place()}",), size_of(tensor), dtype_of(tensor)))

    def remember(self, tensor: torch.Tensor, node: int | None) -> Memory:
        """Give a new tensor its memory, whose values are those of a node in the tensor's shape."""
        storage = tensor.untyped_storage()
        order = _storage_order(tensor)
        shape = (storage.nbytes() // tensor.element_size(),) if order is None else sizes_in(tensor, order)
        memory = self._memories[id(storage)] = Memory(storage, shape, dtype_of(tensor))
        if node is not None:
            self.write(tensor, node)
        return memory

    def write(self, tensor: torch.Tensor, node: int) -> None:
        """Write the values of a node, which has the tensor's shape, to the tensor."""
        memory = self.memory_of(tensor)
        if memory is None:
            memory = self._take_over(tensor)
        if tensor.numel() == 0:
            return
        dtype = dtype_of(tensor)
        seen = self._seen_as(memory, dtype)
        region = None if seen is None else _region(self.nodes[seen].shape, tensor)
        if seen is None or region is None:
            memory.node = self.unknown(f"a write to a view of shape {size_of(tensor)}", tensor)
            return
        shape = self.nodes[seen].shape
        if isinstance(region, Region) and region.is_whole:
            node = self.read(node, region.inverse(shape))
        else:
            node = self.add(Node("write", (Ref(seen), region, Ref(node)), shape, dtype))
        back = "view_as_complex" if _REAL.get(memory.dtype) == dtype else "view_as_real"
        memory.node = node if dtype == memory.dtype else self._add_view(back, node, memory.shape, memory.dtype)

    def _take_over(self, tensor: torch.Tensor) -> Memory:
        """Return the memory of a real tensor, whose values depend on a draw from now on.

        torch's own values are NaN then, so that whoever reads them past the recorder is found out.
        """
        whole = torch.zeros(0, dtype=tensor.dtype).set_(tensor.untyped_storage())
        shown = whole if _storage_order(tensor) is None else tensor
        before = self.add(_constant(shown))
        if whole.is_floating_point():
            whole.fill_(float("nan"))
        return self.remember(shown, before)

    def read(self, index: int, region: Region | Strided) -> int:
        """Add the node of a region of a node, unless the two are the same."""
        node = self.nodes[index]
        if region.is_identity and region.size == node.shape:
            return index
        return self.add(Node("read", (Ref(index), region), region.size, node.dtype))

    def _value_of_all(self, memory: Memory) -> int:
        """Return the node of a memory, which is `empty` if nothing was written to it."""
        if memory.node is None:
            memory.node = self.add(Node("empty", (), memory.shape, memory.dtype))
        return memory.node


def _region(shape: tuple[int, ...], tensor: torch.Tensor) -> Region | Strided | None:
    """Return the part of a contiguous tensor of `shape` that a view of its storage covers."""
    if tensor.is_conj() or tensor.is_neg():
        return None
    return region_of(shape, size_of(tensor), tuple(tensor.stride()), int(tensor.storage_offset()))


def _constant(tensor: torch.Tensor) -> Node:
    """Return the node of a real tensor's values."""
    flat = tensor.detach().contiguous().reshape(-1)
    if flat.is_floating_point() and bool(flat.isnan().any()):
        text = f"a constant with NaN, or the values of a drawn tensor read by numpy or tolist, at {place()}"
        return Node("unknown", (text,), size_of(tensor), dtype_of(tensor))
    if flat.numel() and not flat.is_complex() and bool((flat == flat[0]).all()):
        return Node("full", (flat[0].item(),), size_of(tensor), dtype_of(tensor))
    return Node("data", (constant_data(tensor),), size_of(tensor), dtype_of(tensor))


def constant_data(tensor: torch.Tensor) -> Data:
    """Return the values of a real tensor."""
    flat = tensor.detach().contiguous().reshape(-1)
    content = flat.view(torch.uint8).numpy().tobytes() if flat.numel() else b""
    return Data(content, size_of(tensor), dtype_of(tensor))


def size_of(tensor: torch.Tensor) -> tuple[int, ...]:
    return tuple(map(int, tensor.shape))


def sizes_in(tensor: torch.Tensor, order: Iterable[int]) -> tuple[int, ...]:
    return tuple(int(tensor.shape[axis]) for axis in order)


def dtype_of(tensor: torch.Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")


def memory_order(tensor: torch.Tensor) -> list[int]:
    """Return the axes from the one with the longest stride to the one with the shortest."""
    strides = tensor.stride()
    return sorted(range(tensor.ndim), key=lambda axis: -strides[axis])


def _storage_order(tensor: torch.Tensor) -> list[int] | None:
    """Return the axes in the order in which the storage holds them, or None if the tensor is not the whole storage."""
    order = memory_order(tensor)
    strides = tuple(tensor.stride(axis) for axis in order)
    is_whole = tensor.untyped_storage().nbytes() == tensor.numel() * tensor.element_size()
    sizes = sizes_in(tensor, order)
    fits = all(a == b or n == 1 for a, b, n in zip(strides, strides_of(sizes), sizes, strict=True))
    return order if is_whole and fits else None


def place() -> str:
    """Return the file and line outside of torch and of jaxinit that is being run."""
    ours = ("/torch/", "/jaxinit/_recipes/")
    frames = [frame for frame in traceback.extract_stack() if not any(part in frame.filename for part in ours)]
    return f"{frames[-1].filename}:{frames[-1].lineno}" if frames else "an unknown place"
