"""torch's weights in the NNX twin: what it computes is what torch computes."""

from typing import Any

import numpy as np
import torch

from ..reference import torch_init
from .pairs.pair import State, Twin


def weights(module: torch.nn.Module, rng: np.random.Generator) -> State:
    """A module's tensors by name; constant ones made to vary, or an exchange would not show."""
    state = {name: tensor.numpy().copy() for name, tensor in module.state_dict().items() if tensor.is_floating_point()}
    for array in state.values():
        if (array == array.flat[0]).all():
            array += rng.uniform(-0.5, 0.5, array.shape).astype(array.dtype)
    return state


def difference(twin: Twin, load: Any, rng: np.random.Generator) -> float:
    """The largest difference of the outputs for random inputs, as a share of the largest output."""
    with torch_init.seeded(int(rng.integers(2**31))):
        module = twin.theirs()
    state = weights(module, rng)
    twin.without(state)
    module.load_state_dict({name: torch.from_numpy(array) for name, array in state.items()}, strict=False)
    model = twin.blank()
    load(model, state)
    inputs = twin.input_arrays(rng)
    theirs = twin.output_of_theirs(module, inputs)
    ours = twin.output_of_ours(model, inputs).reshape(theirs.shape)
    return float(np.abs(ours - theirs).max() / np.abs(theirs).max())
