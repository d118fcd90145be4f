"""The modules and arrays of an Equinox model: a pytree, whose leaves have paths as in torch.

- What `eqx.nn.Shared`, `WeightNorm` or `SpectralNorm` wraps has the path of the wrapper. The layers of a Sequential are
  numbered in it.
- A scale of WeightNorm is `weight_g`, and the vectors of SpectralNorm are `weight_u` and `weight_v`.
- Running statistics of BatchNorm are `running_mean` and `running_var`. They lie in the state of the model.
"""

import dataclasses
from typing import Any

import equinox as eqx
import jax

from jaxinit._models.matching import Node, Path

_BATCH_NORM = {"ema_state_index": ("running_mean", "running_var"), "batch_state_index": ("running_mean", "running_var")}
_COUNTS = ("ema_first_time_index", "batch_counter")


@dataclasses.dataclass(frozen=True)
class Leaf:
    """Represent the place of an array among the leaves of the model, and whether it belongs to the model's state."""

    index: int
    is_state: bool = False


class Tree:
    """Represent a model, or a pair of a model and its state.

    Args:
        model: the model, concrete or abstract, or the pair.
        rule: the words before what the model must be, in an error.
    """

    def __init__(self, model: Any, rule: str = "`model` must be") -> None:
        module, state = _split(model, rule)
        self.leaves, self._treedef = jax.tree.flatten(model)
        # The same tree with the index of each leaf in its place.
        indices = jax.tree.unflatten(self._treedef, list(range(len(self.leaves))))
        self._numbered: Any = indices if state is None else indices[0]
        self._state: eqx.nn.State | None = None if state is None else indices[1]
        self.module = module
        self.found: dict[Path, Leaf] = {}
        self.counts: dict[Path, int] = {}
        """The index of the count of batches of each BatchNorm, by the path of the layer."""
        self.nodes: list[Node] = []
        self.dicts: list[Path] = []
        self.shared: list[tuple[Path, Path]] = []
        """The path of what `eqx.nn.Shared` keeps, and the path of what it took out of the model."""
        self._tied: dict[int, int] = {}
        self.lacks_state = False
        """Whether a layer keeps arrays in a state that was not given."""
        self._paths: dict[int, Path] = {}
        self._walk(module, self._numbered, ())

    def filled(self, arrays: dict[int, Any]) -> Any:
        """Return the model with other leaves at some indices."""
        return jax.tree.unflatten(self._treedef, [arrays.get(index, leaf) for index, leaf in enumerate(self.leaves)])

    def chosen(self, choose: Any) -> list[int]:
        """Return the indices of the leaves that `choose` picks, a function of the model as for `eqx.tree_at`."""
        return [index for index in jax.tree.leaves(choose(self._numbered)) if isinstance(index, int)]

    def _walk(self, value: Any, numbered: Any, path: Path) -> None:
        if isinstance(value, dict):
            self.dicts.append(path)
        for (name, part), (_, own) in zip(_children(value), _children(numbered), strict=True):
            if isinstance(part, eqx.nn.StateIndex):
                self._note_state(value, name, own, path)
                continue
            below = (*path, *_names(value, name))
            self._paths[id(own)] = below
            if _is_leaf(part):
                self._paths[own] = below
                self.found[below] = Leaf(own)
            else:
                self._walk(part, own, below)
        if isinstance(value, eqx.nn.Shared):
            self._note_tied(value, numbered.pytree)
        if isinstance(value, eqx.Module):
            self.nodes.append(Node(path, value))

    def _note_state(self, owner: Any, field: str, index: Any, path: Path) -> None:
        """Note the arrays of a `StateIndex`. They lie in the state, or in the model until the state is taken out."""
        value = index.init if self._state is None else self._state.get(index)
        leaves = jax.tree_util.tree_leaves_with_path(value)
        self.lacks_state |= not leaves
        for place, (key, leaf) in enumerate(leaves):
            if isinstance(owner, eqx.nn.BatchNorm) and field in _COUNTS:
                self.counts[path] = leaf
                continue
            names = _names_in_state(owner, field) or ()
            inner = (names[place],) if names else (field, *(_text(part) for part in key))
            self.found[(*path, *inner)] = Leaf(leaf, is_state=True)

    def untied(self) -> Any:
        """Return the model with the arrays that `eqx.nn.Shared` took out of it, as torch builds it before it ties."""
        return self.filled({place: self.leaves[source] for place, source in self._tied.items()})

    def _note_tied(self, shared: eqx.nn.Shared, numbered: Any) -> None:
        """Note what `eqx.nn.Shared` ties together, if it ties without computing something."""
        try:
            sources, places = shared.get(numbered), shared.where(numbered)
        except Exception:  # `get` computes with arrays, such as a transpose, and there are numbers in their places
            return
        several = isinstance(places, tuple | list)
        for source, place in zip(sources, places, strict=True) if several else [(sources, places)]:
            key = source if isinstance(source, int) else id(source)
            if key in self._paths and isinstance(place, int):
                self.shared.append((self._paths[key], self._paths[place]))
                if isinstance(source, int):
                    self._tied[place] = source


def _split(model: Any, rule: str) -> tuple[Any, eqx.nn.State | None]:
    """Return the module and its state, which is None for a module alone."""
    match model:
        case eqx.Module():
            return model, None
        case (eqx.Module() as module, eqx.nn.State() as state):
            return module, state
    raise TypeError(f"{rule} an equinox.Module, or a pair of one and its equinox.nn.State, got {model!r}")


def _children(value: Any) -> list[tuple[str, Any]]:
    """Return the parts of a pytree by name, one level down, in the order of `jax.tree.leaves`."""
    parts = jax.tree_util.tree_leaves_with_path(value, is_leaf=lambda part: part is not value)
    return [(_text(key[0]), part) for key, part in parts if key and part is not None]


def _text(key: Any) -> str:
    return jax.tree_util.keystr((key,), simple=True)


def _is_leaf(value: Any) -> bool:
    return jax.tree_util.all_leaves([value])


def _names(owner: Any, field: str) -> Path:
    """Return the names that a part of a module adds to the path of the module."""
    match owner:
        case eqx.nn.Shared() if field == "pytree":
            return ()
        case eqx.nn.Sequential() if field == "layers":
            return ()
        case eqx.nn.WeightNorm() | eqx.nn.SpectralNorm() if field == "layer":
            return ()
        case eqx.nn.WeightNorm() if field == "g":
            return (f"{owner.weight_name}_g",)
    return (field,)


def _names_in_state(owner: Any, field: str) -> Path | None:
    """Return the names of the arrays that a layer of Equinox keeps in the state."""
    match owner:
        case eqx.nn.BatchNorm():
            return _BATCH_NORM.get(field)
        case eqx.nn.SpectralNorm():
            return f"{owner.weight_name}_u", f"{owner.weight_name}_v"
    return None
