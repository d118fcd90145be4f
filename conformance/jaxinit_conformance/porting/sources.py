"""Which entries of a parameter of the port are made of which torch tensors, as `load` puts them.

Each torch tensor is filled with a number of its own and loaded. A loaded entry then names its source, or its two
sources if it is a sum, as a recurrent bias is.
"""

import dataclasses
import difflib
import itertools
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch

from . import torch_model
from .finding import Finding
from .models.model import Arrays, PortModel

TRIALS = 32
"""How many shapes are tried at most, to find where the names of tensors lead that do not fit."""


@dataclasses.dataclass(frozen=True, eq=False)
class Part:
    """The entries of a parameter of the port that are made of the same torch tensors."""

    path: str
    tensors: tuple[str, ...]
    where: np.ndarray

    @property
    def name(self) -> str:
        """Return the path, with torch's names if the parameter has several parts, such as the gates of an LSTM."""
        return self.path if self.where.all() else f"{self.path} ({' + '.join(self.tensors)})"

    def of(self, array: Any) -> np.ndarray:
        """Return the entries of the part."""
        entries: np.ndarray = np.asarray(array)[self.where]
        return entries


@dataclasses.dataclass(frozen=True)
class Matching:
    """Represent the parts of all parameters, the tensors by path as `load` returns them, and the unmatched."""

    parts: Sequence[Part]
    tensors: Mapping[str, tuple[str, ...]]
    findings: Sequence[Finding]


def match(module: torch.nn.Module, port: PortModel, model: Any) -> Matching:
    """Return which entries of `model` are made of which tensors of `module`. The model is float64."""
    names, state = _tensors(module), torch_model.state(module)
    # One number for each tensor, from 1 to 2, so that no sum of two is the number of a third.
    codes = dict(zip(dict.fromkeys(names.values()), np.random.default_rng(0).uniform(1, 2, len(names)), strict=False))
    coded = {name: np.full(tensor.shape, codes[names[name]]) for name, tensor in state.items()}
    blank = port.with_arrays(model, {path: 0 * array for path, array in port.arrays(model).items()})
    loaded, matched = port.load(blank, coded)
    arrays = {path: np.asarray(array) for path, array in port.arrays(loaded).items()}
    parts = [part for path, array in arrays.items() for part in _parts(path, array, codes)]
    used = {name for part in parts for name in part.tensors}
    trained = torch_model.parameters(module)
    missing = [name for name, own in names.items() if own not in used and name in trained]
    tensors: dict[str, tuple[str, ...]] = {}
    for part in parts:
        tensors[part.path] = tuple(dict.fromkeys((*tensors.get(part.path, ()), *part.tensors)))
    unmatched = {path: array.shape for path, array in arrays.items() if path not in tensors}
    needs = _needs(port, blank, coded, {name: codes[names[name]] for name in missing}, unmatched)
    resized = {path for path, _ in needs.values()}
    unexpected = {path: shape for path, shape in unmatched.items() if path not in resized}
    findings = [*_missing(missing, state, needs, matched.problems, unexpected), *_unexpected(unexpected)]
    return Matching(parts, tensors, findings)


def _needs(
    port: PortModel, blank: Any, coded: Arrays, missing: Mapping[str, float], unmatched: Mapping[str, tuple[int, ...]]
) -> dict[str, tuple[str, tuple[int, ...]]]:
    """Return where the name of a missing tensor leads, and which shape is needed there, if one is.

    The missing tensors are loaded in each shape that a parameter may need.
    """
    found: dict[str, tuple[str, tuple[int, ...]]] = {}
    shapes = dict.fromkeys(each for own in unmatched.values() for each in _torchs_shapes(own))
    for shape in itertools.islice(shapes, TRIALS):
        resized = {name: np.broadcast_to(code, shape) for name, code in missing.items() if name not in found}
        arrays = port.arrays(port.load(blank, coded | resized)[0]) if resized else {}
        parts = [part for path in unmatched if path in arrays for part in _parts(path, arrays[path], missing)]
        found |= {name: (part.path, shape) for part in parts for name in part.tensors}
    return found


def _torchs_shapes(shape: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
    """Yield the shapes that torch may have for a parameter: the same, a kernel in torch's axes, or flat heads."""
    yield shape
    if len(shape) > 1:
        yield (shape[-1], shape[-2], *shape[:-2])
    if len(shape) > 2:
        yield from ((math.prod(shape) // size, size) for size in shape if size)


def _tensors(module: torch.nn.Module) -> dict[str, str]:
    """Return the names of tensors, each with the first name of the same tensor."""
    first: dict[tuple[int, int], str] = {}
    found = {}
    for name, tensor in module.state_dict(keep_vars=True).items():
        if tensor.is_floating_point():
            found[name] = first.setdefault((tensor.data_ptr(), tensor.numel()), name)
    return found


def _parts(path: str, array: Any, codes: Mapping[str, float]) -> Iterator[Part]:
    array = np.asarray(array)
    own = {code: (name,) for name, code in codes.items()}
    for code in np.unique(array[array != 0]):
        yield Part(path, own.get(code) or _summed(code, codes), array == code)


def _summed(code: float, codes: Mapping[str, float]) -> tuple[str, ...]:
    """Return the two tensors whose numbers add up to `code`."""
    pairs = itertools.combinations(codes.items(), 2)
    return next(((a, b) for (a, first), (b, second) in pairs if first + second == code), ())


def _missing(
    missing: Sequence[str],
    state: Mapping[str, Any],
    needs: Mapping[str, tuple[str, tuple[int, ...]]],
    problems: Sequence[str],
    unexpected: Mapping[str, Any],
) -> Iterator[Finding]:
    for name in missing:
        why = next((f": {line}" for line in problems if name in line.split()), "")
        lack = f"the port has no parameter for it{why}{_likely(name, state[name].shape, unexpected)}"
        if name in needs:
            path, shape = needs[name]
            lack = f"the port's `{path}` needs shape {shape}"
        yield Finding(name, "missing", f"`{name}`: torch has this tensor of shape {state[name].shape}, {lack}")


def _likely(name: str, shape: tuple[int, ...], unexpected: Mapping[str, tuple[int, ...]]) -> str:
    """Return advice on a parameter with as many entries and a similar name."""
    alike = [path for path, other in unexpected.items() if sorted(other) == sorted(shape)]
    nearest = difflib.get_close_matches(name, alike, n=1)
    return "".join(f". If `{path}` is this tensor, tell it with `rename`" for path in nearest)


def _unexpected(unexpected: Mapping[str, tuple[int, ...]]) -> Iterator[Finding]:
    for path, shape in unexpected.items():
        yield Finding(path, "unexpected", f"`{path}`: the port has this parameter of shape {shape}, torch has none")


def module_pairs(matching: Matching) -> list[list[tuple[str, str]]]:
    """Return torch's names and the port's paths of modules that hold the same tensors.

    Several modules, one within the other, hold the same tensors if one of them adds none. If there are as many on both
    sides, the innermost ones correspond, and those around them. Otherwise one pair of a list corresponds: torchvision
    has a Sequential within a block, and the block adds its input to the output of the Sequential.
    """
    in_torch = _holders({name: (name,) for own in matching.tensors.values() for name in own})
    in_port = {
        held: [path for path in paths if not _is_list(path, matching.tensors)]
        for held, paths in _holders(matching.tensors).items()
    }
    found: list[list[tuple[str, str]]] = []
    for tensors, names in in_torch.items():
        paths = in_port.get(tensors, [])
        if _is_nested(names) and _is_nested(paths):
            is_known = len(names) == len(paths)
            pairs = zip(names, paths, strict=True) if is_known else itertools.product(names, paths)
            found += [[pair] for pair in pairs] if is_known else [list(pairs)]
    return found


def _holders(tensors: Mapping[str, tuple[str, ...]]) -> dict[frozenset[str], list[str]]:
    """Return the modules that hold each set of tensors, the innermost first."""
    held: dict[str, set[str]] = {}
    for path, own in tensors.items():
        module = _above(path)
        while module:
            held.setdefault(module, set()).update(own)
            module = _above(module)
    found: dict[frozenset[str], list[str]] = {}
    for module in sorted(held, key=lambda name: -name.count(".")):
        found.setdefault(frozenset(held[module]), []).append(module)
    return found


def _is_list(module: str, paths: Iterable[str]) -> bool:
    """Return whether a module of the port is a list, which has no output of its own."""
    inside = (path.removeprefix(f"{module}.") for path in paths if path.startswith(f"{module}."))
    return all(path.partition(".")[0].isdigit() for path in inside)


def _is_nested(modules: Sequence[str]) -> bool:
    return all(inner.startswith(f"{outer}.") for inner, outer in itertools.pairwise(modules))


def _above(name: str) -> str:
    return name.rpartition(".")[0]
