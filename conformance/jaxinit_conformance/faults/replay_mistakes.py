"""Mistakes in replaying torch: generators, initializers and models that get one thing wrong."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np

import jaxinit


class WordsExchanged(jaxinit.TorchGenerator):
    """Of the two words of a float64 number takes the first for the low half."""

    def uniform(self, low: float, high: float, shape: Sequence[int], dtype: Any = "float32") -> np.ndarray:
        if np.dtype(dtype) != np.float64:
            return super().uniform(low, high, shape, dtype)
        points = (super().uniform(0.0, 1.0, shape, dtype) * 2.0**53).astype(np.int64)
        exchanged = (points & (2**21 - 1)) << 32 | points >> 32
        return low + (high - low) * exchanged * 2.0**-53


class TailKept(jaxinit.TorchGenerator):
    """Cuts the last block of 16 normal numbers, where torch draws the last 16 afresh."""

    def normal(self, mean: float, std: float, shape: Sequence[int], dtype: Any = "float32") -> np.ndarray:
        size = int(np.prod(shape))
        if size < 16:
            return super().normal(mean, std, shape, dtype)
        return super().normal(mean, std, (-(-size // 16) * 16,), dtype)[:size].reshape(shape)


class SineForgotten(jaxinit.TorchGenerator):
    """Keeps no second number of a pair for the next call."""

    def normal(self, mean: float, std: float, shape: Sequence[int], dtype: Any = "float32") -> np.ndarray:
        drawn = super().normal(mean, std, shape, dtype)
        state = self.get_state()
        state[5040:5048] = 0  # torch's flag that there is one
        self.set_state(state)
        return drawn


def transposed(init: Any, generator: Any, shape: tuple[int, ...], dtype: Any) -> Any:
    """Fills your array in its own order."""
    return jaxinit.uniform(*init.distribution(shape).support)(generator, shape, dtype)


class BiasesInBetween:
    """`jaxinit.nnx`, but for LSTMs, whose biases it draws each after its own weight."""

    def __getattr__(self, name: str) -> Any:
        return getattr(jaxinit.nnx, name)  # when asked for, since it needs flax

    @staticmethod
    def init(build: Callable[[Any], Any], generator: Any) -> Any:
        model = jaxinit.nnx.init(build, jax.random.key(0))
        rows, state = model.cell.dense_h.kernel.shape[::-1]
        sizes = {"ih": model.cell.dense_i.kernel.shape[0], "hh": state}
        tensors = {}
        for side, size in sizes.items():
            for name, shape in (("weight", (rows, size)), ("bias", (rows,))):
                tensors[f"{name}_{side}_l0"] = generator.uniform(-(state**-0.5), state**-0.5, shape)
        jaxinit.nnx.load(model, tensors)
        return model
