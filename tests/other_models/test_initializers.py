"""The initializers of timm and of mup, whose authors wrote the rules of jaxinit.scaling, beside ours."""

import importlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

import jaxinit
from jaxinit import TORCH, scaling
from jaxinit._models.correspondence import with_layout
from jaxinit.composed import truncated
from jaxinit.distributions import Normal, TruncatedNormal, Uniform
from tests.jaxinit.initializers.test_truncated import GLOROT, LECUN, SHAPE, assert_quantiles, erf
from tests.other_models import timm

layers: Any = timm.layers.weight_init


@pytest.mark.parametrize(
    ("init", "lower", "upper", "call"),
    [
        (truncated(jaxinit.normal(std=0.02)), -2, 2, lambda t: layers.trunc_normal_tf_(t, std=0.02)),
        (
            truncated(jaxinit.normal(0.3, 0.5), -1, 3),
            -1,
            3,
            lambda t: layers.trunc_normal_tf_(t, mean=0.3, std=0.5, a=-1.0, b=3.0),
        ),
        (with_layout(LECUN, TORCH), -2, 2, lambda t: layers.lecun_normal_(t)),
        (
            with_layout(0.5 * GLOROT, TORCH),
            -2,
            2,
            lambda t: layers.variance_scaling_(t, 0.25, mode="fan_avg", distribution="truncated_normal"),
        ),
        (
            truncated(jaxinit.kaiming_normal(mode="fan_out", nonlinearity="relu", layout=TORCH), keep_std=True),
            -2,
            2,
            lambda t: layers.variance_scaling_(t, 2.0, mode="fan_out", distribution="truncated_normal"),
        ),
    ],
    ids=["trunc_normal_tf_", "trunc_normal_tf_ with bounds", "lecun_normal_", "glorot", "he"],
)
def test_timm_draws_the_same_distribution(
    init: Any, lower: float, upper: float, call: Callable[..., Any], seed: int
) -> None:
    """timm draws a uniform number and takes its quantile."""
    tensor, uniform = torch.empty(SHAPE, dtype=torch.float64), torch.empty(SHAPE, dtype=torch.float64)
    torch.manual_seed(seed)
    call(tensor)
    torch.manual_seed(seed)
    uniform.uniform_(erf(lower), erf(upper))
    assert_quantiles(init, tensor.numpy(), uniform.numpy())


SHAPES = {  # of torch, with the base of each axis that grows
    "input": ((256, 10), (64, None)),
    "hidden": ((256, 96), (64, 32)),
    "output": ((10, 256), (None, 64)),
    "hidden convolution": ((256, 96, 3, 5), (64, 32, None, None)),
    "as the base": ((64, 32), (64, 32)),
}
CALLS: dict[str, tuple[str, dict[str, Any]]] = {
    "normal": ("normal_", {"std": 0.3}),
    "uniform": ("uniform_", {"a": -0.3, "b": 0.3}),
    "trunc_normal": ("trunc_normal_", {"std": 0.3, "a": -0.5, "b": 0.5}),
    "xavier_normal": ("xavier_normal_", {"gain": 2.0}),
    "xavier_uniform": ("xavier_uniform_", {"gain": 2.0}),
    "kaiming_normal": ("kaiming_normal_", {"mode": "fan_in", "nonlinearity": "relu"}),
    "kaiming_normal, fan_out": ("kaiming_normal_", {"mode": "fan_out"}),
    "kaiming_uniform": ("kaiming_uniform_", {"a": 5**0.5}),
}


def drawn(function: Any, tensor: torch.Tensor, **arguments: Any) -> torch.Tensor:
    """Return what a function of torch's style draws after the seed 0."""
    torch.manual_seed(0)
    result: torch.Tensor = function(tensor, **arguments)
    return result


def unscaled(distribution: Any, tensor: torch.Tensor) -> tuple[float, torch.Tensor]:
    """Return the scale of a distribution around 0, and torch's draws from it at scale 1."""
    match distribution:
        case Normal(_, std):
            return std, drawn(torch.nn.init.normal_, tensor)
        case Uniform(low, high):
            return high, drawn(torch.nn.init.uniform_, tensor, a=low / high, b=1.0)
        case TruncatedNormal(_, std, low, high):
            return std, drawn(torch.nn.init.trunc_normal_, tensor, a=low / std, b=high / std)
    raise TypeError(distribution)


@pytest.mark.parametrize("axes", SHAPES)
@pytest.mark.parametrize("call", CALLS)
def test_mup_has_the_scale_of_the_package_mup(call: str, axes: str) -> None:
    """Draws of one seed differ by the ratio of their scales, which is then known to 12 digits."""
    package: Any = importlib.import_module("mup")
    (shape, base), (name, arguments) = SHAPES[axes], CALLS[call]
    tensor: Any = torch.empty(shape, dtype=torch.float64)
    tensor.infshape = package.InfShape([package.InfDim(own, size) for own, size in zip(base, shape, strict=True)])
    theirs = drawn(getattr(importlib.import_module("mup.init"), name), tensor, **arguments)

    base_shape = [own or size for own, size in zip(base, shape, strict=True)]
    inner = getattr(jaxinit, name.removesuffix("_"))(**arguments)
    distribution = scaling.mup(inner, base_shape, layout=TORCH).distribution(shape)
    scale, unit = unscaled(distribution, torch.empty(shape, dtype=torch.float64))
    np.testing.assert_allclose(theirs.numpy(), unit.numpy() * scale, rtol=1e-12, atol=1e-13)
