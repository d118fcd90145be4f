"""A torch module, and the NNX module that plays its part."""

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
    """Represent how to build both modules, and what they are called with."""

    name: str
    """The torch module or the model: the row of the report."""
    case: str
    build_torch: Callable[[], torch.nn.Module]
    build_flax: Callable[[nnx.Rngs], Any]
    inputs: tuple[tuple[int, ...], ...]
    """The shapes that the torch module is called with."""
    tokens: int = 0
    """If not 0, inputs are integers below this number."""
    images: bool = False
    """Whether inputs have channels, which are axis 1 in torch and the last axis in Flax."""
    call_torch: Callable[..., Any] = _call
    call_flax: Callable[..., Any] = _call
    without: Callable[[State], None] = lambda _: None
    """A function that sets torch tensors to 0 that the Flax layer lacks."""
    copied: Callable[[Any], Any] = lambda _: ()
    """A function to the layers that torch copies from the first one, so that all start equal."""
    quick: bool = False
    is_model: bool = False

    def blank(self) -> Any:
        """Return the NNX model with zeros, so that an array that is never set is wrong."""
        # eval_shape draws nothing, so that even ResNet-50 is built in no time.
        graphdef, state = nnx.split(nnx.eval_shape(lambda: self.build_flax(nnx.Rngs(0))))
        return nnx.merge(graphdef, jax.tree.map(_zeros, state))

    def input_arrays(self, rng: np.random.Generator) -> list[np.ndarray]:
        """Return random inputs in the layout of torch."""
        if self.tokens:
            return [rng.integers(self.tokens, size=shape) for shape in self.inputs]
        return [rng.normal(size=shape).astype(np.float32) for shape in self.inputs]

    def run_torch(self, module: torch.nn.Module, inputs: list[np.ndarray]) -> np.ndarray:
        with torch.no_grad():
            output: torch.Tensor = self.call_torch(module.eval(), *map(torch.from_numpy, inputs))
        return output.numpy()

    def run_flax(self, model: Any, inputs: list[np.ndarray]) -> np.ndarray:
        """Return the output in the layout of torch. Heads and features may be separate axes."""
        model.eval()
        graphdef, state = nnx.split(model)

        def output(state: Any, *inputs: Any) -> Any:
            return self.call_flax(nnx.merge(graphdef, state), *inputs)

        operands = state, *map(self.to_flax, inputs)
        array = np.asarray(compile_unoptimized(output, *operands)(*operands))
        return np.moveaxis(array, -1, 1) if self.images else array

    def to_flax(self, array: np.ndarray) -> Any:
        """Return an input in the layout of Flax."""
        return jnp.asarray(np.moveaxis(array, 1, -1) if self.images else array)


def tensors(module: torch.nn.Module) -> State:
    """Return copies of the floating tensors of a torch module, by name."""
    state = module.state_dict().items()
    return {name: tensor.numpy().copy() for name, tensor in state if tensor.is_floating_point()}


def leaves(model: Any) -> dict[str, Any]:
    """Return the parameters and statistics of an NNX model by path, joined with dots."""
    flat = nnx.to_flat_state(nnx.state(model, (nnx.Param, nnx.BatchStat)))
    return {".".join(map(str, path)): jax.tree.leaves(leaf)[0] for path, leaf in flat}


def _zeros(leaf: jax.ShapeDtypeStruct) -> jax.Array:
    if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
        return jnp.broadcast_to(jax.random.key(0), leaf.shape)
    return jnp.asarray(np.zeros(leaf.shape, leaf.dtype))
