"""Mistakes about torch's generator and the order in which it is asked."""

import dataclasses
import types
from collections.abc import Mapping
from typing import Any

import jaxinit

from ..targets import Target
from . import mistakes, replay_mistakes
from .fault import Fault


@dataclasses.dataclass(frozen=True)
class ReplayFault(Fault):
    """A mistake in an initializer, or in what stands beside it in the namespace: a generator, whole models."""

    others: Mapping[str, Any] = dataclasses.field(default_factory=lambda: {"TorchGenerator": jaxinit.TorchGenerator})

    def target(self) -> Target:
        names = {"Layout": jaxinit.Layout, self.initializer: self.mistake, **self.others}
        return Target(self.name, types.SimpleNamespace(**names))


FAULTS = (
    ReplayFault(
        "low and high word exchanged in float64",
        "uniform",
        "replay",
        jaxinit.uniform,
        {"TorchGenerator": replay_mistakes.WordsExchanged},
    ),
    ReplayFault(
        "tail of 16 not redrawn", "normal", "replay", jaxinit.normal, {"TorchGenerator": replay_mistakes.TailKept}
    ),
    ReplayFault(
        "second number of a pair forgotten",
        "normal",
        "replay",
        jaxinit.normal,
        {"TorchGenerator": replay_mistakes.SineForgotten},
    ),
    ReplayFault(
        "drawn in the order of Flax's array",
        "kaiming_uniform",
        "replay",
        mistakes.redrawn("kaiming_uniform", replay_mistakes.transposed),
    ),
    ReplayFault(
        "biases drawn between the weights",
        "nn.LSTM",
        "replay .*",
        jaxinit.uniform,
        {"TorchGenerator": jaxinit.TorchGenerator, "nnx": replay_mistakes.BiasesInBetween()},
    ),
)
