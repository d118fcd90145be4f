"""torch's weights in the NNX pair: what it computes is what torch computes."""

from typing import Any

import numpy as np
import torch

from ..reference import torch_init
from .pairs.pair import ModelPair, State


def weights(module: torch.nn.Module, rng: np.random.Generator) -> State:
    """A module's tensors by name; constant ones made to vary, or an exchange would not show."""
    state = {name: tensor.numpy().copy() for name, tensor in module.state_dict().items() if tensor.is_floating_point()}
    for array in state.values():
        if (array == array.flat[0]).all():
            array += rng.uniform(-0.5, 0.5, array.shape).astype(array.dtype)
    return state


def difference(pair: ModelPair, load: Any, rng: np.random.Generator) -> float:
    """The largest difference of the outputs for random inputs, as a share of the largest output."""
    with torch_init.seeded(int(rng.integers(2**31))):
        module = pair.build_torch()
    state = weights(module, rng)
    pair.without(state)
    module.load_state_dict({name: torch.from_numpy(array) for name, array in state.items()}, strict=False)
    model = pair.blank()
    load(model, state)
    inputs = pair.input_arrays(rng)
    theirs = pair.run_torch(module, inputs)
    ours = pair.run_flax(model, inputs).reshape(theirs.shape)
    return float(np.abs(ours - theirs).max() / np.abs(theirs).max())
