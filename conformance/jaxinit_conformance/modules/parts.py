"""The parts of each Flax parameter: which torch tensors they are made of, and how torch draws those.

The parts are read off `load`. Each torch tensor is filled with a number of its own, so that a
loaded entry names its source, or its sources if it is a sum. Equal outputs show that `load` puts
tensors in the right place. They show nothing about distributions.
"""

import dataclasses
import functools
import itertools
import math
from collections.abc import Iterator, Mapping
from typing import Any

import jax
import numpy as np
import torch

from ..reference import torch_init, torch_modules
from ..reference.expected import Expected
from ..reference.torch_modules import Recorded
from .pairs.compile import compile_unoptimized
from .pairs.pair import ModelPair, leaves

Arrays = dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Part:
    """Represent a range of the last axis of a parameter, made of the same torch tensors."""

    path: str
    shape: tuple[int, ...]
    start: int
    stop: int
    sources: tuple[str, ...]

    @property
    def name(self) -> str:
        is_whole = (self.start, self.stop) == (0, self.shape[-1] if self.shape else 1)
        return self.path if is_whole else f"{self.path}[{self.start}:{self.stop}]"

    @property
    def size(self) -> int:
        return math.prod(self.shape[:-1]) * (self.stop - self.start)

    def of(self, arrays: np.ndarray) -> np.ndarray:
        """Return the entries of the part, from stacked arrays of the parameter."""
        return arrays.reshape(len(arrays), -1, self.shape[-1] if self.shape else 1)[..., self.start : self.stop]


@functools.cache
def recorded(pair: ModelPair) -> tuple[torch.nn.Module, Mapping[str, Recorded]]:
    """Return the torch module of a pair, and the record of each tensor."""
    with torch_init.seeded(0):
        return torch_modules.record(pair.build_torch)


def kinds(pair: ModelPair) -> set[str]:
    """Return the kinds of distribution of the tensors of a torch module."""
    return {one.expected.kind for one in recorded(pair)[1].values()}


def parts(pair: ModelPair, load: Any) -> list[Part]:
    """Return the parts of each Flax parameter.

    Raises:
        LookupError: entries of a parameter are not a sum of tensors, or a tensor is used nowhere.
    """
    tensors = recorded(pair)[1]
    codes = {name: float(code) for code, name in enumerate(tensors, start=1)}
    state = {name: np.full(one.shape, codes[name], np.float32) for name, one in tensors.items()}
    pair.without(state)
    model = pair.blank()
    matched = load(model, state)
    found = [part for path, array in leaves(model).items() for part in _split(path, np.asarray(array), codes, matched)]
    if lost := set(codes).difference(*(part.sources for part in found)):
        raise LookupError(f"nothing is made of torch's {', '.join(sorted(lost))}")
    return found


def _split(path: str, array: np.ndarray, codes: Mapping[str, float], matched: Mapping[str, Any]) -> Iterator[Part]:
    names = matched.get(path, ())
    # Tensors are filled with different integers, so a sum of few of them tells which.
    sums = {
        sum(codes[name] for name in some): some
        for size in range(1, len(names) + 1)
        for some in itertools.combinations(names, size)
    }
    rows = array.reshape(-1, array.shape[-1] if array.shape else 1)
    if not np.isin(rows, list(sums)).all() or (rows != rows[0]).any():
        raise LookupError(f"{path} is not made of torch's {', '.join(names) or 'tensors'}")
    for code, run in itertools.groupby(range(rows.shape[1]), lambda column: float(rows[0, column])):
        columns = list(run)
        yield Part(path, array.shape, columns[0], columns[-1] + 1, tuple(sums[code]))


def expected(part: Part, tensors: Mapping[str, Recorded]) -> Expected:
    """Return the distribution of the entries of a part, by the calls of torch."""
    found = Expected.of_sum([tensors[name].expected for name in part.sources])
    if found is None:
        raise LookupError(f"no distribution is known for the sum of {', '.join(part.sources)}")
    return found


class Drawn:
    """Represent what `reset_parameters` of a target draws for a pair, one key after the other. Draws are kept."""

    def __init__(self, pair: ModelPair, reset: Any, key: jax.Array) -> None:
        self._pair, self._reset, self._key = pair, reset, key
        self._kept: Arrays = {}

    def values(self, parts: list[Part], count: int) -> list[np.ndarray]:
        """Return at least `count` entries of each part, in whole arrays."""
        wanted = {part: -(-count // part.size) for part in parts}
        if any(len(self._kept.get(part.path, ())) < models for part, models in wanted.items()):
            # Sorted, so that of two parts of one parameter the larger number is kept.
            self._kept.update(self._drawn({part.path: wanted[part] for part in sorted(wanted, key=wanted.__getitem__)}))
        return [part.of(self._kept[part.path][:models]) for part, models in wanted.items()]

    def _drawn(self, wanted: Mapping[str, int]) -> Arrays:
        """Return the stacked arrays of so many models for each path."""
        kept: dict[str, list[np.ndarray]] = {path: [] for path in wanted}
        for index in range(max(wanted.values())):
            model = self._model(np.uint32(index))
            for path, models in wanted.items():
                if index < models:
                    kept[path].append(np.asarray(model[path]))
        return {path: np.stack(arrays) for path, arrays in kept.items()}

    @functools.cached_property
    def _model(self) -> Any:
        """Return a function from the number of a key to the arrays of a model that was drawn with that key."""

        def arrays(index: jax.Array) -> Arrays:
            model = self._pair.blank()
            self._reset(model, jax.random.fold_in(self._key, index))
            return leaves(model)

        return compile_unoptimized(arrays, np.uint32(0))
