"""torch.nn.init for JAX and Flax: PyTorch's initial weights under PyTorch's names."""

import difflib
import importlib
import typing

from jaxinit import composed, defaults, scaling
from jaxinit._descriptions.compare import compare
from jaxinit._descriptions.describe import describe
from jaxinit._initializers.at_call import at_call
from jaxinit._initializers.base import Initializer
from jaxinit._initializers.elementwise import constant, normal, ones, trunc_normal, uniform, zeros
from jaxinit._initializers.gains import calculate_gain
from jaxinit._initializers.identity import dirac, eye
from jaxinit._initializers.orthogonal import orthogonal
from jaxinit._initializers.sparse import sparse
from jaxinit._initializers.variance_scaling import kaiming_normal, kaiming_uniform, xavier_normal, xavier_uniform
from jaxinit._torch_generator.generator import TorchGenerator
from jaxinit.layouts import FLAX, FLAX_CONV_TRANSPOSE, TORCH, Layout, calculate_fan_in_and_fan_out

if typing.TYPE_CHECKING:
    from jaxinit import equinox as equinox
    from jaxinit import haiku as haiku
    from jaxinit import keras as keras
    from jaxinit import linen as linen
    from jaxinit import nnx as nnx
    from jaxinit._recipes.recipe import Recipe as Recipe
    from jaxinit._recipes.record import record as record

__version__ = "0.1.0"

__all__ = [
    "FLAX",
    "FLAX_CONV_TRANSPOSE",
    "TORCH",
    "Initializer",
    "Layout",
    "Recipe",
    "TorchGenerator",
    "at_call",
    "calculate_fan_in_and_fan_out",
    "calculate_gain",
    "compare",
    "composed",
    "constant",
    "defaults",
    "describe",
    "dirac",
    "eye",
    "kaiming_normal",
    "kaiming_uniform",
    "normal",
    "ones",
    "orthogonal",
    "record",
    "scaling",
    "sparse",
    "trunc_normal",
    "uniform",
    "xavier_normal",
    "xavier_uniform",
    "zeros",
]


# The modules that are loaded on first use, with the package that each needs, which is also the name of the extra.
_ON_DEMAND = {"equinox": "equinox", "haiku": "haiku", "keras": "keras", "linen": "flax", "nnx": "flax"}

# Names that are imported on first use, as their modules are a quarter of the time of `import jaxinit`.
_LATE = {"Recipe": "jaxinit._recipes.recipe", "record": "jaxinit._recipes.record"}

# Names that users of torch, Keras and JAX try first.
_OTHER_NAMES = {
    "he_normal": "kaiming_normal",
    "he_uniform": "kaiming_uniform",
    "glorot_normal": "xavier_normal",
    "glorot_uniform": "xavier_uniform",
    "lecun_normal": "composed.truncated(jaxinit.kaiming_normal(nonlinearity='linear'), keep_std=True)",
    "lecun_uniform": "kaiming_uniform(nonlinearity='linear')",
    "truncated_normal": "composed.truncated(jaxinit.normal())",
    "trunc_normal_tf": "composed.truncated(jaxinit.normal())",
    "delta_orthogonal": "orthogonal",
}


def __getattr__(name: str) -> object:
    """Load a module such as `jaxinit.nnx` on first use, as it needs another package, or a name as it is rarely used."""
    if name in _LATE:
        return getattr(importlib.import_module(_LATE[name]), name)
    if name in _ON_DEMAND:
        needed = _ON_DEMAND[name]
        try:
            return importlib.import_module(f"jaxinit.{name}")
        except ModuleNotFoundError as error:
            if error.name != needed:
                raise
            raise AttributeError(
                f"jaxinit.{name} needs {needed}; install it with: pip install 'jaxinit[{needed}]'", name=name
            ) from None
    plain = name.removesuffix("_")
    meant = _OTHER_NAMES.get(plain, *difflib.get_close_matches(plain, __all__, n=1))
    hint = f"; did you mean jaxinit.{meant}?" if meant else ""
    raise AttributeError(f"module 'jaxinit' has no attribute {name!r}{hint}", name=name)


def __dir__() -> list[str]:
    return sorted([*__all__, *_ON_DEMAND, "__version__"])
