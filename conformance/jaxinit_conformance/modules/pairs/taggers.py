"""Taggers of sequences: embedding, two recurrent layers that read both ways (LSTM) or one (GRU), linear."""

from collections.abc import Callable
from typing import Any

import torch
from flax import nnx

from .pair import ModelPair
from .recurrent import gru_cell

TOKENS, SIZE, STATE, TAGS, LAYERS = 60, 24, 32, 48, 2


def pairs() -> tuple[ModelPair, ...]:
    return (
        _pair("LSTM tagger", "both ways", lambda: TorchTagger("LSTM"), lambda rngs: FlaxTagger(both_ways, 2, rngs)),
        _pair("GRU tagger", "one way", lambda: TorchTagger("GRU"), lambda rngs: FlaxTagger(one_way, 1, rngs)),
    )


def _pair(
    name: str, case: str, build_torch: Callable[[], torch.nn.Module], build_flax: Callable[[nnx.Rngs], Any]
) -> ModelPair:
    case = f"{LAYERS} layers of {STATE}, {case}"
    return ModelPair(name, case, build_torch, build_flax, ((3, 6),), tokens=TOKENS, is_model=True)


class TorchTagger(torch.nn.Module):
    def __init__(self, kind: str) -> None:
        super().__init__()
        ways = 2 if kind == "LSTM" else 1
        self.embed = torch.nn.Embedding(TOKENS, SIZE)
        self.recurrent = getattr(torch.nn, kind)(SIZE, STATE, LAYERS, batch_first=True, bidirectional=ways == 2)
        self.head = torch.nn.Linear(ways * STATE, TAGS)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        scores: torch.Tensor = self.head(self.recurrent(self.embed(tokens))[0])
        return scores


def both_ways(into: int, rngs: nnx.Rngs) -> Any:
    ways = [nnx.RNN(nnx.OptimizedLSTMCell(into, STATE, rngs=rngs), rngs=rngs) for _ in range(2)]
    return nnx.Bidirectional(*ways, rngs=rngs)


def one_way(into: int, rngs: nnx.Rngs) -> Any:
    return nnx.RNN(gru_cell(into, STATE, rngs=rngs), rngs=rngs)


class FlaxTagger(nnx.Module):
    def __init__(self, layer: Callable[[int, nnx.Rngs], Any], ways: int, rngs: nnx.Rngs) -> None:
        self.embed = nnx.Embed(TOKENS, SIZE, rngs=rngs)
        self.recurrent = nnx.List([layer(into, rngs) for into in (SIZE, *[ways * STATE] * (LAYERS - 1))])
        self.head = nnx.Linear(ways * STATE, TAGS, rngs=rngs)

    def __call__(self, tokens: Any) -> Any:
        x = self.embed(tokens)
        for layer in self.recurrent:
            x = layer(x)
        return self.head(x)
