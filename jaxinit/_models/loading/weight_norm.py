"""torch's weight_norm: a weight is a direction `weight_v` with a scale `weight_g`, or two `parametrizations` of it."""

import re
from collections.abc import Container, Mapping

import numpy as np

from jaxinit._models.loading.names import spelled_paths
from jaxinit._models.loading.state_dict import Target
from jaxinit._models.matching import dotted


def merged(tensors: Mapping[str, np.ndarray], target: Target) -> dict[str, np.ndarray]:
    """Return the tensors with one weight for each scale and direction.

    A model with Flax's `WeightNorm` keeps the scale, as a vector. Any other gets their product::

        weight = weight_g * weight_v / ||weight_v||
    """
    found = {old_name(name): tensor for name, tensor in tensors.items()}
    scales = {dotted(spelled) for path in target.leaves for spelled in spelled_paths(path)}
    for name in [name for name in found if f"{name.removesuffix('_g')}_v" in found]:
        weight, scale = name.removesuffix("_g"), found.pop(name)
        direction = found.pop(f"{weight}_v")
        if name in scales:
            found |= {weight: direction, name: scale.ravel()}
        else:
            found[weight] = scale * direction / _norm(direction, scale.shape)
    return found


def split(tensors: Mapping[str, np.ndarray], names: Container[str]) -> dict[str, np.ndarray]:
    """Return the tensors with a scale and a direction for each weight with them in the model or in `names`."""
    found = dict(tensors)
    for weight in tensors:
        if f"{weight}_g" in tensors or f"{weight}_g" in names:
            direction = found.pop(weight)
            shape = (len(direction), *[1] * (direction.ndim - 1))
            scale = tensors.get(f"{weight}_g", _norm(direction, shape))
            found |= {f"{weight}_g": scale.reshape(shape), f"{weight}_v": direction}
    return found


def old_name(name: str) -> str:
    """Return the name of a scale or a direction before torch had `parametrizations`."""
    return re.sub(r"parametrizations\.(\w+)\.original([01])$", lambda m: f"{m[1]}_{'gv'[int(m[2])]}", name)


def _norm(direction: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Return the 2-norm over the axes that have one entry in `shape`."""
    axes = tuple(axis for axis, size in enumerate(shape) if size == 1)
    norm: np.ndarray = np.sqrt(np.square(direction).sum(axes, keepdims=True))
    return norm
