"""torch's weight_norm and spectral_norm, which have other tensors in place of a weight.

- weight_norm: a direction `weight_v` with a scale `weight_g`.
- spectral_norm: `weight_orig`, and two singular vectors `weight_u` and `weight_v`.

Newer versions of torch call them `parametrizations.weight.original0` and so on.
"""

import re
from collections.abc import Collection, Container, Mapping

import numpy as np

from jaxinit._models.loading.names import spelled_paths
from jaxinit._models.loading.target import Target
from jaxinit._models.matching import dotted


def merged(tensors: Mapping[str, np.ndarray], target: Target) -> dict[str, np.ndarray]:
    """Return the tensors with one weight for each scale and direction.

    A model with a `WeightNorm` keeps the scale. Any other gets their product::

        weight = weight_g * weight_v / ||weight_v||
    """
    plain = old_names(tensors)
    found = {plain[name]: tensor for name, tensor in tensors.items()}
    own = {dotted(spelled) for path in target.leaves for spelled in spelled_paths(path)}
    for name in [name for name in found if name.endswith("_g") and f"{name.removesuffix('_g')}_v" in {*found} - own]:
        weight, scale = name.removesuffix("_g"), found[name]
        direction = found.pop(f"{weight}_v")
        if name in own:
            found[weight] = direction
        else:
            found[weight] = found.pop(name) * direction / _norm(direction, scale.shape)
    return found


def split(tensors: Mapping[str, np.ndarray], target: Target, names: Container[str]) -> dict[str, np.ndarray]:
    """Return the tensors with a scale and a direction for each weight with them in the model or in `names`."""
    found = dict(tensors)
    scales = {name: shape for path, shape in target.scales.items() for name in target.spelled(path)}
    for weight, direction in tensors.items():
        name = f"{weight}_g"
        if name in tensors and name in scales:
            found[name] = tensors[name].reshape(scales[name])
        elif name in names and name not in tensors:
            found[name] = _norm(direction, (len(direction), *[1] * (direction.ndim - 1)))
        else:
            continue
        found[f"{weight}_v"] = found.pop(weight)
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
    """Return the 2-norm over the axes that have one entry in `shape`, or over all axes if it is that of a scalar."""
    axes = tuple(axis for axis in range(direction.ndim) if not shape or shape[axis] == 1)
    norm: np.ndarray = np.sqrt(np.square(direction).sum(axes, keepdims=True))
    return norm
