"""torch's layers whose weights are loaded: what they are filled with and fed, and how near ours must come."""

from typing import Any

import numpy as np
import torch

CHANNELS_FIRST = ("Conv", "BatchNorm", "GroupNorm", "InstanceNorm")


def filled(module: torch.nn.Module) -> torch.nn.Module:
    """With parameters and statistics that are not their initial ones, which would hide mistakes."""
    for tensor in module.state_dict().values():
        if tensor.is_floating_point():
            tensor.uniform_(0.5, 1.5)
    return module


def fed(name: str, shape: tuple[int, ...]) -> torch.Tensor:
    """Normal numbers; to normalize, distinct whole ones: of values nearly equal, Flax's variance keeps few digits."""
    return torch.rand(shape).argsort(-1).float() if "Norm" in name else torch.randn(shape)


def is_close(ours: Any, theirs: torch.Tensor) -> None:
    np.testing.assert_allclose(np.asarray(ours), theirs.detach().numpy(), rtol=0, atol=1e-5)
