"""Which arrays of two models are one parameter, each with the axes of the first."""

import dataclasses
import os
import re
from collections.abc import Iterable
from typing import Any

import numpy as np

from jaxinit._descriptions.arrays import is_state_dict, leaves, own_view, read, view_of
from jaxinit._models.loading.selection import Globs, Rename, renamed
from jaxinit._models.matching import dotted
from jaxinit.layouts import FLAX


@dataclasses.dataclass(frozen=True)
class Pair:
    """Represent a parameter of two models: its name in both, and its arrays, with the same axes where that is known."""

    names: tuple[str, str]
    arrays: tuple[Any, Any]


@dataclasses.dataclass(frozen=True)
class Pairs:
    """Represent the parameters of two models, the names that only one has, and what else does not fit, in words."""

    pairs: tuple[Pair, ...]
    missing: tuple[str, ...]
    unexpected: tuple[str, ...]
    problems: tuple[str, ...] = ()

    def turned(self) -> "Pairs":
        """Return the pairs with the second model first."""
        pairs = tuple(Pair(pair.names[::-1], pair.arrays[::-1]) for pair in self.pairs)
        return dataclasses.replace(self, pairs=pairs, missing=self.unexpected, unexpected=self.missing)


def paired(
    a: Any, b: Any, module: Any, inputs: Any, kwargs: Any, rename: Rename | None, transposed: Globs | None
) -> Pairs:
    """Return the parameters of two models. A model with rules and torch's tensors are matched as `load` does."""
    own = [None if _is_torchs(each) else own_view(each) for each in (a, b)]
    if module is not None and all(_is_torchs(each) or view for each, view in zip((a, b), own, strict=True)):
        raise TypeError(f"`module` must be the module of `a` or `b`, got {module!r} with variables of no module")
    views = [
        None if _is_torchs(each) else view or view_of(each, module, inputs, kwargs)
        for each, view in zip((a, b), own, strict=True)
    ]
    match views:
        case [view, None] if view is not None and _is_torchs(b) and not (rename is None and _has_paths_of(view, b)):
            return _loaded(view, read(b, "b"), rename, transposed)
        case [None, view] if view is not None and _is_torchs(a) and not (rename is None and _has_paths_of(view, a)):
            return _loaded(view, read(a, "a"), rename, transposed).turned()
    if transposed is not None:
        raise ValueError(f"`transposed` is for a model beside torch's tensors, got {transposed!r}")
    return _by_name(_named(a, views[0], "a"), _named(b, views[1], "b"), rename)


def _is_torchs(value: Any) -> bool:
    return isinstance(value, str | os.PathLike) or is_state_dict(value)


def _has_paths_of(view: Any, state: Any) -> bool:
    """Return whether a dict has the paths of a model that does not have torch's names, as `nnx.state` of one layer."""
    is_dict = not view.has_torchs_names and not isinstance(state, str | os.PathLike)
    return is_dict and {dotted(path) for path in view.values()} == {*state}


def _loaded(view: Any, state: Any, rename: Rename | None, transposed: Globs | None) -> Pairs:
    """Return each parameter of a model beside what `load` makes of torch's tensors for it."""
    view, target, loading = view.match(state, rename, transposed=transposed)
    buffers = {path: array for path, array in loading.arrays.items() if path in target.buffers}
    made = {**buffers, **view.stacks.whole(loading.arrays)}
    pairs, missing = [], []
    for path, array in view.values().items():
        if path in made:
            layers = [path] if path in buffers else view.stacks.layer_paths(path)
            names = dict.fromkeys(name for layer in layers for name in loading.matched[dotted(layer)])
            pairs.append(Pair((dotted(path), _listed([*names])), (array, made[path])))
        elif path not in target.buffers:
            missing.append(dotted(path))
    told = [line for line in loading.problems if not line.startswith(("missing ", "unexpected "))]
    return Pairs(tuple(pairs), tuple(missing), tuple(loading.unused), tuple(told))


def _listed(names: list[str]) -> str:
    return " + ".join(names if len(names) < 4 else [names[0], "...", names[-1]])


def _named(value: Any, view: Any, argument: str) -> dict[str, Any]:
    if view is not None:
        return {dotted(path): array for path, array in view.values().items()}
    return dict(read(value, argument)) if _is_torchs(value) else leaves(value, argument)


def _by_name(first: dict[str, Any], second: dict[str, Any], rename: Rename | None) -> Pairs:
    """Return the arrays with the same name, or with the names that torch and Flax give to one parameter."""
    old_names = renamed({name: name for name in second}, rename)
    partners = {name: name for name in first} | _alike({*first} - {*old_names}, {*old_names} - {*first})
    pairs = [(name, old_names[partners[name]]) for name in first if partners[name] in old_names]
    met = {other for _, other in pairs}
    return Pairs(
        tuple(Pair(names, _with_same_axes(names, first[names[0]], second[names[1]])) for names in pairs),
        tuple(name for name in first if partners[name] not in old_names),
        tuple(name for name in second if name not in met),
    )


_RUNNING = {"mean": "running_mean", "var": "running_var"}
_TORCH_NAMES = dict.fromkeys(("kernel", "scale", "embedding"), "weight") | _RUNNING


def _alike(only_a: Iterable[str], only_b: Iterable[str]) -> dict[str, str]:
    """Return the names in A and B that torch and Flax give to one parameter, where no other name fits."""
    found: dict[str, tuple[list[str], list[str]]] = {}
    for side, names in enumerate((only_a, only_b)):
        for name in names:
            in_torch = re.sub(r"[^./]+$", lambda last: _TORCH_NAMES.get(last[0], last[0]), name)
            found.setdefault(in_torch, ([], []))[side].append(name)
    return {a[0]: b[0] for a, b in found.values() if len(a) == len(b) == 1}


def _with_same_axes(names: tuple[str, str], a: Any, b: Any) -> tuple[Any, Any]:
    """Return the arrays of a parameter, with torch's axes if one is a `kernel` and one a `weight`."""
    last = [re.split(r"[./]", name)[-1] for name in names]
    if sorted(last) != ["kernel", "weight"] or min(a.ndim, b.ndim) < 2:
        return a, b
    torchs = [
        FLAX.to_torch(np.asarray(each)) if own == "kernel" else each for own, each in zip(last, (a, b), strict=True)
    ]
    return (torchs[0], torchs[1]) if torchs[0].shape == torchs[1].shape else (a, b)
