"""torch's modules and five whole models, each beside its NNX twin."""

from . import dcgan, layers, mlp, recurrent, resnet, taggers, transformer
from .pair import Twin

LAYERS: tuple[Twin, ...] = (*layers.everything(), *recurrent.everything(), *transformer.layers())
MODELS: tuple[Twin, ...] = (resnet.twin(width=8), transformer.twin(), *taggers.twins(), dcgan.twin())
DEEP: tuple[Twin, ...] = (mlp.twin(depth=50, width=512), resnet.twin(width=8))
"""Whose signals are followed layer by layer."""


def chosen(quick: bool) -> tuple[Twin, ...]:
    """Those of a run; models take their time."""
    return tuple(twin for twin in LAYERS if twin.quick) if quick else (*LAYERS, *MODELS)
