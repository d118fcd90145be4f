"""torch.nn.init for JAX and Flax: PyTorch's initial weights under PyTorch's names."""

import importlib
import types

from jaxinit import composed, defaults
from jaxinit._initializers.base import Initializer
from jaxinit._initializers.elementwise import constant, normal, ones, trunc_normal, uniform, zeros
from jaxinit._initializers.gains import calculate_gain
from jaxinit._initializers.identity import dirac, eye
from jaxinit._initializers.orthogonal import orthogonal
from jaxinit._initializers.sparse import sparse
from jaxinit._initializers.variance_scaling import kaiming_normal, kaiming_uniform, xavier_normal, xavier_uniform
from jaxinit._torch_generator.generator import TorchGenerator
from jaxinit.layouts import FLAX, FLAX_CONV_TRANSPOSE, TORCH, Layout, calculate_fan_in_and_fan_out

__version__ = "0.1.0"

__all__ = [
    "FLAX",
    "FLAX_CONV_TRANSPOSE",
    "TORCH",
    "Initializer",
    "Layout",
    "TorchGenerator",
    "calculate_fan_in_and_fan_out",
    "calculate_gain",
    "composed",
    "constant",
    "defaults",
    "dirac",
    "eye",
    "kaiming_normal",
    "kaiming_uniform",
    "normal",
    "ones",
    "orthogonal",
    "sparse",
    "trunc_normal",
    "uniform",
    "xavier_normal",
    "xavier_uniform",
    "zeros",
]


def __getattr__(name: str) -> types.ModuleType:
    """`jaxinit.nnx` and `jaxinit.linen`, loaded on first use, for they need flax."""
    if name not in ("nnx", "linen"):
        raise AttributeError(f"module 'jaxinit' has no attribute {name!r}")
    try:
        return importlib.import_module(f"jaxinit.{name}")
    except ModuleNotFoundError as error:
        if error.name != "flax":
            raise
        raise ImportError(f"jaxinit.{name} needs flax; install it with: pip install 'jaxinit[flax]'") from None
