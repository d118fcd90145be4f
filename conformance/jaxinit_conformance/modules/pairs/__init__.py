"""Torch modules and five whole models, each beside the NNX module that plays its part."""

from . import dcgan, layers, mlp, recurrent, resnet, taggers, transformer
from .pair import ModelPair

LAYERS: tuple[ModelPair, ...] = (*layers.everything(), *recurrent.everything(), *transformer.layers())
MODELS: tuple[ModelPair, ...] = (resnet.pair(width=8), transformer.pair(), *taggers.pairs(), dcgan.pair())
DEEP: tuple[ModelPair, ...] = (mlp.pair(depth=50, width=512), resnet.pair(width=8))
"""The models whose activations and gradients are compared layer by layer."""


def chosen(quick: bool) -> tuple[ModelPair, ...]:
    """Return the pairs of a run. A quick run has no whole models, which are slow."""
    return tuple(pair for pair in LAYERS if pair.quick) if quick else (*LAYERS, *MODELS)
