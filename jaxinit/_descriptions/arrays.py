"""The arrays of a model by path, and what is known of each."""

import collections
import contextlib
import dataclasses
import os
import sys
from collections.abc import Iterator, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxinit._initializers.base import WithLayout
from jaxinit._models.loading import checkpoint
from jaxinit._models.matching import dotted
from jaxinit.layouts import FLAX, TORCH, Layout


@dataclasses.dataclass(frozen=True)
class Named:
    """Represent an array, and what torch draws it from if a rule says so."""

    path: str
    array: Any
    default: Any = None
    """The initializer of one layer, or None without a rule."""
    given: Any = None
    """The initializer that its module keeps."""
    place: Any = None
    """Which axes stack layers, None if no model tells."""

    @property
    def layer_shape(self) -> tuple[int, ...]:
        return tuple(self.array.shape if self.place is None else self.place.layer.shape)

    def layers(self, array: np.ndarray) -> np.ndarray:
        """Return the layers of an array one behind the other: a single one unless the array is a stack."""
        return array[None] if self.place is None or not self.place.stacked_axes else self.place.layers(array)

    def layout(self, otherwise: Layout) -> Layout:
        return self.default.layout if isinstance(self.default, WithLayout) else otherwise


def named_arrays(
    model: Any, module: Any, inputs: Any, kwargs: Any, layout: Layout | None
) -> tuple[list[Named], Layout]:
    """Return the arrays of a model, and the layout of those that no rule knows."""
    if (view := view_of(model, module, inputs, kwargs)) is not None:
        return [*_of_view(view)], layout or (TORCH if _is_equinox(model) else FLAX)
    if isinstance(model, str | os.PathLike) or is_state_dict(model):
        arrays = read(model)
        is_torchs = any(name.rpartition(".")[2] == "weight" for name in arrays)
        return [Named(name, array) for name, array in arrays.items()], layout or (TORCH if is_torchs else FLAX)
    return [Named(*item) for item in leaves(model).items()], layout or FLAX


def view_of(model: Any, module: Any, inputs: Any, kwargs: Any) -> Any:
    """Return a model as `jaxinit.nnx`, `linen` or `equinox` sees it, or None for a tree of arrays."""
    if module is not None:
        from jaxinit._models.flax.linen_model import LinenModel

        return LinenModel(module, inputs, kwargs, variables=model)
    if inputs or kwargs:
        raise TypeError(f"`module` must be given with its inputs, got None and {[*inputs, *kwargs]}")
    return own_view(model)


def own_view(model: Any) -> Any:
    """Return a model of NNX or Equinox as `jaxinit.nnx` or `jaxinit.equinox` sees it, or None for anything else."""
    if (nnx := sys.modules.get("flax.nnx")) is not None and isinstance(model, nnx.Module):
        from jaxinit._models.flax.nnx_model import NNXModel

        return NNXModel(model)
    if _is_equinox(model):
        from jaxinit._models.equinox.model import EquinoxModel

        return EquinoxModel(model)
    return None


def _is_equinox(model: Any) -> bool:
    """Return whether a model is a module of Equinox, or a pair of one and its state."""
    eqx = sys.modules.get("equinox")
    if eqx is None:
        return False
    return isinstance(model, eqx.Module) or (isinstance(model, tuple) and [*map(type, model[1:])] == [eqx.nn.State])


def _of_view(view: Any) -> Iterator[Named]:
    defaults, modules = view.initializers(), {node.path: node.module for node in view.nodes}
    for path, array in view.values().items():
        name = dotted(path)
        given = getattr(modules.get(path[:-1]), f"{path[-1]}_init", None)
        yield Named(name, array, defaults.get(name), given, view.stacks.places.get(path))


def read(value: Any, argument: str = "model") -> dict[str, np.ndarray]:
    """Return the arrays of a dict or a checkpoint as `load` reads them. The errors name the argument that it is."""
    try:
        return checkpoint.read(value)
    except (ImportError, TypeError, ValueError) as error:
        raise type(error)(str(error).replace("`state`", f"`{argument}`", 1)) from None


def is_state_dict(value: Any) -> bool:
    """Return whether a value is a dict of arrays by names, as torch's `state_dict()`."""
    is_dict = isinstance(value, Mapping) and bool(value)
    return is_dict and all(isinstance(name, str) and is_numeric(each) for name, each in value.items())


def leaves(tree: Any, argument: str = "model") -> dict[str, Any]:
    """Return the arrays among the leaves of a tree by path, joined by dots. Functions and other leaves are left out.

    The errors name the argument that the tree is.

    Raises:
        TypeError: no leaf is an array.
        ValueError: two arrays have the same path.

    Example:
        >>> from jaxinit._descriptions.arrays import leaves
        >>> list(leaves({"layers": [{"kernel": jnp.ones((2, 3))}], "act": jax.nn.relu}))
        ['layers.0.kernel']
    """
    found: dict[str, Any] = {}
    paths = jax.tree_util.tree_flatten_with_path(tree)[0]
    siblings = collections.Counter(path[:-1] for path, _ in paths)
    for path, leaf in paths:
        # NNX and Linen box an array, which is alone in its box. The name leaves the box out.
        is_box = len(path) > 1 and getattr(path[-1], "name", None) == "value" and siblings[path[:-1]] == 1
        name = jax.tree_util.keystr(path[:-1] if is_box else path, simple=True, separator=".")
        if not is_numeric(leaf):
            continue
        if name in found:
            raise ValueError(f"`{argument}` must give every array a path of its own, got {name!r} twice")
        found[name] = leaf
    if not found:
        raise TypeError(f"`{argument}` must hold arrays of numbers, got {type(tree).__name__} without one{_hint(tree)}")
    return found


def _hint(model: Any) -> str:
    """Return what to pass in place of a model whose arrays only its own framework sees."""
    if type(model).__module__.startswith("keras."):
        return ". Pass {w.path: w.value for w in model.weights}"
    return ". Pass torch_model.state_dict()" if hasattr(model, "load_state_dict") else ""


def is_numeric(leaf: Any) -> bool:
    """Return whether a leaf is an array of numbers or booleans."""
    if isinstance(leaf, jax.ShapeDtypeStruct) or not (hasattr(leaf, "shape") and hasattr(leaf, "dtype")):
        return False
    with contextlib.suppress(TypeError):  # torch's dtypes
        return any(jnp.issubdtype(leaf.dtype, kind) for kind in (np.number, np.bool_))
    return True
