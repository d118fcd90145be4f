"""torch's modules and five whole models, each beside its NNX pair."""

from . import dcgan, layers, mlp, recurrent, resnet, taggers, transformer
from .pair import ModelPair

LAYERS: tuple[ModelPair, ...] = (*layers.everything(), *recurrent.everything(), *transformer.layers())
MODELS: tuple[ModelPair, ...] = (resnet.pair(width=8), transformer.pair(), *taggers.pairs(), dcgan.pair())
DEEP: tuple[ModelPair, ...] = (mlp.pair(depth=50, width=512), resnet.pair(width=8))
"""Whose signals are followed layer by layer."""


def chosen(quick: bool) -> tuple[ModelPair, ...]:
    """Those of a run; models take their time."""
    return tuple(pair for pair in LAYERS if pair.quick) if quick else (*LAYERS, *MODELS)
