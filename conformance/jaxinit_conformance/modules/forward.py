"""The outputs of a Flax model that loaded torch's weights, compared with torch's outputs."""

from typing import Any

import numpy as np
import torch

from ..reference import torch_init
from .pairs.pair import ModelPair, State, tensors


def weights(module: torch.nn.Module, rng: np.random.Generator) -> State:
    """Return the tensors of a module by name. Constant ones are varied, or an exchange would not show."""
    state = tensors(module)
    for array in state.values():
        if (array == array.flat[0]).all():
            array += rng.uniform(-0.5, 0.5, array.shape).astype(array.dtype)
    return state


def difference(pair: ModelPair, load: Any, rng: np.random.Generator) -> float:
    """Return the largest difference of the outputs for random inputs, as a share of the largest output."""
    with torch_init.seeded(int(rng.integers(2**31))):
        module = pair.build_torch()
    state = weights(module, rng)
    pair.without(state)
    module.load_state_dict({name: torch.from_numpy(array) for name, array in state.items()}, strict=False)
    model = pair.blank()
    load(model, state)
    inputs = pair.input_arrays(rng)
    torch_output = pair.run_torch(module, inputs)
    flax_output = pair.run_flax(model, inputs).reshape(torch_output.shape)
    return float(np.abs(flax_output - torch_output).max() / np.abs(torch_output).max())
