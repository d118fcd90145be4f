"""The rules of Flax's layers, in NNX and in Linen: those of the table of modules, LoRA, and what users register."""

import math
from collections.abc import Iterator
from typing import Any

import flax.linen as nn
from flax import nnx

from jaxinit._initializers.elementwise import zeros
from jaxinit._initializers.variance_scaling import kaiming_uniform
from jaxinit._models import torch_modules
from jaxinit._models.correspondence import Shapes
from jaxinit._models.matching import Initializers, Rule
from jaxinit._models.rules import Rules


class _NNXRules(Rules):
    def of(self, module: Any) -> Iterator[Rule]:
        """Yield the rules of a module, which may be Linen's inside `nnx.bridge.ToNNX`."""
        return LINEN.of(module) if isinstance(module, nn.Module) else super().of(module)


class _LinenRules(Rules):
    def of(self, module: Any) -> Iterator[Rule]:
        """Yield the module's own method, then the rules of its classes. It may be NNX's inside `nnx.bridge.ToLinen`."""
        if isinstance(module, nnx.Module):
            yield from NNX.of(module)
            return
        if callable(getattr(module, "reset_parameters", None)):
            yield lambda shapes, layer: layer.reset_parameters(dict(shapes))
        yield from super().of(module)


def _lora(shapes: Shapes, _: Any) -> Initializers:
    """Match `lora_a` (in, rank) and `lora_b` (rank, out), as in the original code and in PEFT."""
    inits = {"lora_a": kaiming_uniform(math.sqrt(5)), "lora_b": zeros()}
    return {name: init for name, init in inits.items() if name in shapes}


NNX_TABLE = {getattr(nnx, row.nnx): row.rule for row in torch_modules.TABLE if row.nnx}
LINEN_TABLE = {getattr(nn, row.linen): row.rule for row in torch_modules.TABLE if row.linen}
_ADVICE = ", or define a method `reset_parameters` in its module"
NNX = _NNXRules("jaxinit.nnx", nnx.Module, "nnx.Module", {**NNX_TABLE, nnx.LoRA: _lora}, _ADVICE)
LINEN = _LinenRules("jaxinit.linen", nn.Module, "flax.linen.Module", LINEN_TABLE, _ADVICE)
