"""A torch module and the NNX module that plays its part."""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import torch
from flax import nnx

from .compile import compile_unoptimized

State = dict[str, np.ndarray]


def _call(module: Any, *inputs: Any) -> Any:
    return module(*inputs)


@dataclasses.dataclass(frozen=True)
class ModelPair:
    """How to build both, and what both are called with."""

    name: str
    """Of the torch module or the model; the row of the report."""
    case: str
    build_torch: Callable[[], torch.nn.Module]
    build_flax: Callable[[nnx.Rngs], Any]
    inputs: tuple[tuple[int, ...], ...]
    """The shapes that torch's module is called with."""
    tokens: int = 0
    """Inputs are whole numbers below this, if it is not 0."""
    images: bool = False
    """Whether torch has the channels behind the batch axis; Flax has them last."""
    call_torch: Callable[..., Any] = _call
    call_flax: Callable[..., Any] = _call
    without: Callable[[State], None] = lambda _: None
    """Sets to 0 what Flax's layer has no place for."""
    copied: Callable[[Any], Any] = lambda _: ()
    """The layers that torch copies from the first of them, so that all start with its numbers."""
    quick: bool = False
    is_model: bool = False

    def blank(self) -> Any:
        """The NNX model with zeros for numbers, so that nothing is right which was never set."""
        graphdef, state = nnx.split(nnx.eval_shape(lambda: self.build_flax(nnx.Rngs(0))))
        return nnx.merge(graphdef, jax.tree.map(_zeros, state))

    def input_arrays(self, rng: np.random.Generator) -> list[np.ndarray]:
        """Random inputs, as torch takes them."""
        if self.tokens:
            return [rng.integers(self.tokens, size=shape) for shape in self.inputs]
        return [rng.normal(size=shape).astype(np.float32) for shape in self.inputs]

    def run_torch(self, module: torch.nn.Module, inputs: list[np.ndarray]) -> np.ndarray:
        with torch.no_grad():
            output: torch.Tensor = self.call_torch(module.eval(), *map(torch.from_numpy, inputs))
        return output.numpy()

    def run_flax(self, model: Any, inputs: list[np.ndarray]) -> np.ndarray:
        """In torch's layout, but for axes that torch has in one."""
        model.eval()
        graphdef, state = nnx.split(model)

        def output(state: Any, *inputs: Any) -> Any:
            return self.call_flax(nnx.merge(graphdef, state), *inputs)

        operands = state, *map(self.to_flax, inputs)
        array = np.asarray(compile_unoptimized(output, *operands)(*operands))
        return np.moveaxis(array, -1, 1) if self.images else array

    def to_flax(self, array: np.ndarray) -> Any:
        """An input as Flax takes it."""
        return jnp.asarray(np.moveaxis(array, 1, -1) if self.images else array)


def _zeros(leaf: jax.ShapeDtypeStruct) -> jax.Array:
    if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
        return jnp.broadcast_to(jax.random.key(0), leaf.shape)
    return jnp.asarray(np.zeros(leaf.shape, leaf.dtype))
