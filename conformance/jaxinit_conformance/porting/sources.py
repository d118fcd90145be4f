"""Which entries of a Flax parameter are made of which torch tensors, as `load` puts them.

Each torch tensor is filled with a number of its own and loaded. A loaded entry then names its source, or its two
sources if it is a sum, as a recurrent bias is.
"""

import dataclasses
import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch

from . import torch_model
from .finding import Finding
from .flax_models import FlaxModel


@dataclasses.dataclass(frozen=True, eq=False)
class Part:
    """The entries of a Flax parameter that are made of the same torch tensors."""

    path: str
    tensors: tuple[str, ...]
    where: np.ndarray

    @property
    def name(self) -> str:
        """The path, with torch's names if the parameter has several parts, such as the gates of an LSTM."""
        return self.path if self.where.all() else f"{self.path} ({' + '.join(self.tensors)})"

    def of(self, array: Any) -> np.ndarray:
        """Return the entries of the part."""
        entries: np.ndarray = np.asarray(array)[self.where]
        return entries


@dataclasses.dataclass(frozen=True)
class Matching:
    """The parts of all parameters, the tensors by path as `load` returns them, and what has no counterpart."""

    parts: Sequence[Part]
    tensors: Mapping[str, tuple[str, ...]]
    findings: Sequence[Finding]


def match(module: torch.nn.Module, port: FlaxModel, model: Any, rename: Any) -> Matching:
    """Return which entries of `model` are made of which tensors of `module`. The model is float64."""
    names = _tensors(module)
    codes = {name: float(code) for code, name in enumerate(dict.fromkeys(names.values()), start=1)}
    state = {name: np.full(tensor.shape, codes[names[name]]) for name, tensor in torch_model.state(module).items()}
    loaded, tensors = port.load(model, state, rename)
    arrays = {path: np.asarray(array) for path, array in port.arrays(loaded).items()}
    parts = [part for path, own in tensors.items() if path in arrays for part in _parts(path, arrays[path], own, codes)]
    used = {names[name] for own in tensors.values() for name in own}
    missing = {name: own for name, own in names.items() if own not in used and name in torch_model.parameters(module)}
    return Matching(parts, tensors, [*_missing(missing, state, tensors), *_unexpected(arrays, tensors)])


def _tensors(module: torch.nn.Module) -> dict[str, str]:
    """Return the names of tensors, each with the first name of the same tensor."""
    first: dict[tuple[int, int], str] = {}
    found = {}
    for name, tensor in module.state_dict(keep_vars=True).items():
        if tensor.is_floating_point():
            found[name] = first.setdefault((tensor.data_ptr(), tensor.numel()), name)
    return found


def _parts(path: str, array: np.ndarray, names: tuple[str, ...], codes: Mapping[str, float]) -> Iterator[Part]:
    own: dict[float, tuple[str, ...]] = {codes[name]: (name,) for name in names if name in codes}
    sums: dict[float, tuple[str, ...]] = {
        codes[a] + codes[b]: (a, b) for a, b in itertools.combinations(filter(codes.get, names), 2)
    }
    for code in np.unique(array):
        yield Part(path, (own | sums).get(code, ()), array == code)


def _missing(missing: Mapping[str, str], state: Mapping[str, Any], tensors: Any) -> Iterator[Finding]:
    for name in missing:
        why = next((f": {line}" for line in tensors.problems if name in line.split()), "")
        yield Finding(
            name,
            "missing",
            f"`{name}`: torch has this tensor of shape {state[name].shape}, the port has no parameter for it{why}",
        )


def _unexpected(arrays: Mapping[str, np.ndarray], tensors: Mapping[str, Any]) -> Iterator[Finding]:
    for path in arrays:
        if path not in tensors:
            shape = arrays[path].shape
            yield Finding(path, "unexpected", f"`{path}`: the port has this parameter of shape {shape}, torch has none")
