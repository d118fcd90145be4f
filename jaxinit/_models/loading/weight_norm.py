"""torch's weight_norm and spectral_norm, which have other tensors in place of a weight.

- weight_norm: a direction `weight_v` with a scale `weight_g`.
- spectral_norm: `weight_orig`, and two singular vectors `weight_u` and `weight_v`.

Newer versions of torch call them `parametrizations.weight.original0` and so on.
"""

import math
import re
from collections.abc import Collection, Container, Mapping

import numpy as np

from jaxinit._models.loading.names import spelled_paths
from jaxinit._models.loading.state_dict import Target
from jaxinit._models.matching import dotted


def merged(tensors: Mapping[str, np.ndarray], target: Target) -> dict[str, np.ndarray]:
    """Return the tensors with one weight for each scale and direction.

    A model with Flax's `WeightNorm` keeps the scale, as a vector. Any other gets their product::

        weight = weight_g * weight_v / ||weight_v||
    """
    plain = old_names(tensors)
    found = {plain[name]: tensor for name, tensor in tensors.items()}
    scales = {dotted(spelled): leaf.shape for path, leaf in target.leaves.items() for spelled in spelled_paths(path)}
    for name in [name for name in found if name.endswith("_g") and f"{name.removesuffix('_g')}_v" in found]:
        weight, scale = name.removesuffix("_g"), found.pop(name)
        direction = found.pop(f"{weight}_v")
        if name in scales:
            is_same = scale.size == math.prod(scales[name])
            found |= {weight: direction, name: scale.reshape(scales[name]) if is_same else scale}
        else:
            found[weight] = scale * direction / _norm(direction, scale.shape)
    return found


def split(tensors: Mapping[str, np.ndarray], names: Container[str]) -> dict[str, np.ndarray]:
    """Return the tensors with a scale and a direction for each weight with them in the model or in `names`."""
    found = dict(tensors)
    for weight in tensors:
        if f"{weight}_g" in tensors or f"{weight}_g" in names:
            direction = found.pop(weight)
            axes = (len(direction), *[1] * (direction.ndim - 1))
            scale = tensors.get(f"{weight}_g", _norm(direction, axes))
            # One norm of the whole weight is a scalar in torch.
            found |= {f"{weight}_g": scale.reshape(axes if scale.size == len(direction) else ())}
            found[f"{weight}_v"] = direction
    return found


def old_names(names: Collection[str]) -> dict[str, str]:
    """Return the name of each tensor before torch had `parametrizations`. The weight of a spectral_norm is plain."""
    old = {name: _old_name(name) for name in names}
    known = set(old.values())

    def plain(name: str) -> str:
        weight = name.removesuffix("_orig")
        return weight if {f"{weight}_orig", f"{weight}_u", f"{weight}_v"} <= known else name

    return {name: plain(each) for name, each in old.items()}


def _old_name(name: str) -> str:
    name = re.sub(r"parametrizations\.(\w+)\.original([01])$", lambda m: f"{m[1]}_{'gv'[int(m[2])]}", name)
    return re.sub(r"parametrizations\.(\w+)\.(?:0\._([uv])|original)$", lambda m: f"{m[1]}_{m[2] or 'orig'}", name)


def _norm(direction: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Return the 2-norm over the axes that have one entry in `shape`."""
    axes = tuple(axis for axis, size in enumerate(shape) if size == 1)
    norm: np.ndarray = np.sqrt(np.square(direction).sum(axes, keepdims=True))
    return norm
