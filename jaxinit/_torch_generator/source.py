"""A source of numbers on the host: the calls that torch makes, tensor after tensor."""

import abc
import math
from collections.abc import Callable
from typing import Any, Self

import numpy as np

from jaxinit import _arguments
from jaxinit._sampling import dtypes
from jaxinit._sampling.sharding import OutSharding
from jaxinit._sampling.source import Build, Source
from jaxinit.distributions import Constant, Distribution, Random
from jaxinit.layouts import TORCH, View

Shape = tuple[int, ...]


class SequentialSource(Source):
    """Draw torch's tensors one after the other.

    Every tensor advances the same stream, so `split` and `at` return the source itself.
    Each entry falls where torch has it: a tensor is drawn in torch's layout, then given yours.
    """

    @abc.abstractmethod
    def fill(self, distribution: Random, shape: Shape, dtype: np.dtype) -> np.ndarray: ...

    @abc.abstractmethod
    def randperm(self, n: int, first: int | None = None) -> np.ndarray: ...

    def draw(
        self, distribution: Distribution, view: View, dtype: np.dtype, out_sharding: OutSharding = None
    ) -> np.ndarray:
        """Return independent entries of `distribution` as torch fills its tensor, with your axes."""
        if isinstance(distribution, Constant):
            return np.full(view.shape, dtypes.cast(distribution.value, dtype))
        require_no_trace()
        return _in_layout(view, lambda weight: self.fill(distribution, weight, dtype))

    def choose(self, count: int, view: View) -> np.ndarray:
        """Mark the first `count` entries of a `torch.randperm` for each column, with your axes."""
        require_no_trace()
        return _in_layout(view, lambda weight: self._marked(count, weight))

    def run(self, build: Build, view: View, out_sharding: OutSharding = None, **static: Any) -> np.ndarray:
        """Call `build` once for each stacked weight, with a view of this weight in torch's layout."""
        require_no_trace()

        def one(weight: Shape) -> np.ndarray:
            array: np.ndarray = build(self, view=view if view.layout is None else TORCH.view(weight), **static)
            return array

        return _in_layout(view, one)

    def split(self, n: int) -> list[Self]:
        """Return the source itself, `n` times."""
        return [self] * n

    def at(self, path: tuple[str, ...]) -> Self:
        """Return the source itself."""
        return self

    def _marked(self, count: int, weight: Shape) -> np.ndarray:
        marked = np.zeros(weight, bool)
        for column in range(weight[1]):
            marked[self.randperm(weight[0], first=count), column] = True
        return marked


def require_no_trace() -> None:
    """Raise TypeError under a trace: numbers drawn there would be constants of the program, equal at every call."""
    if _arguments.is_staged():
        raise TypeError(
            "`key` must be a JAX PRNG key under jit, eval_shape or scan, got a TorchGenerator, which draws on the "
            "host; initialise outside and pass the arrays in"
        )


def _in_layout(view: View, draw_weight: Callable[[Shape], np.ndarray]) -> np.ndarray:
    """Draw the stacked weights one after the other, and return them as one array with your axes."""
    count, weight = math.prod(view.batch), view.weight
    if count == 1:
        return view.from_torch(draw_weight(weight).reshape(view.torch_shape))
    # An empty stack draws one empty weight for its dtype, which takes nothing from the stream.
    each = [draw_weight(weight if count else (0,) * len(weight)) for _ in range(max(count, 1))]
    return view.from_torch(np.concatenate([one.reshape(-1) for one in each]).reshape(view.torch_shape))
