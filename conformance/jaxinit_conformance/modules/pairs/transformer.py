"""torch.nn.TransformerEncoderLayer and TransformerDecoderLayer in NNX, and an encoder of such layers."""

from typing import Any

import torch
from flax import nnx

from .pair import ModelPair

SIZE, HEADS, INNER, LAYERS, TOKENS = 48, 4, 80, 3, 60


def layers() -> tuple[ModelPair, ...]:
    """Return the pairs of attention, of an encoder layer and of a decoder layer."""
    own: Any = {"dropout": 0.0, "batch_first": True}
    return (
        _attention_alone(SIZE, quick=True),
        _attention_alone(40),
        ModelPair(
            "nn.TransformerEncoderLayer",
            f"{SIZE}, {HEADS} heads, {INNER} inside",
            lambda: torch.nn.TransformerEncoderLayer(SIZE, HEADS, INNER, **own),
            FlaxEncoderLayer,
            ((2, 5, SIZE),),
        ),
        ModelPair(
            "nn.TransformerDecoderLayer",
            f"{SIZE}, {HEADS} heads, {INNER} inside",
            lambda: torch.nn.TransformerDecoderLayer(SIZE, HEADS, INNER, **own),
            FlaxDecoderLayer,
            ((2, 5, SIZE), (2, 6, SIZE)),
        ),
    )


def _attention_alone(kdim: int, quick: bool = False) -> ModelPair:
    return ModelPair(
        "nn.MultiheadAttention",
        f"nnx.MultiHeadAttention, {SIZE}, {HEADS} heads, kdim and vdim {kdim}",
        lambda: torch.nn.MultiheadAttention(SIZE, HEADS, kdim=kdim, vdim=kdim, batch_first=True),
        lambda rngs: nnx.MultiHeadAttention(HEADS, SIZE, in_kv_features=kdim, decode=False, rngs=rngs),
        ((2, 5, SIZE), (2, 6, kdim), (2, 6, kdim)),
        call_torch=lambda module, *inputs: module(*inputs)[0],
        quick=quick,
    )


def pair() -> ModelPair:
    return ModelPair(
        "transformer encoder",
        f"{LAYERS} layers of {SIZE}, {HEADS} heads, {INNER} inside",
        TorchEncoder,
        FlaxEncoder,
        ((2, 7),),
        tokens=TOKENS,
        copied=lambda model: model.encoder.layers,
        is_model=True,
    )


def _attention(rngs: nnx.Rngs) -> Any:
    return nnx.MultiHeadAttention(HEADS, SIZE, decode=False, rngs=rngs)


def _norm(rngs: nnx.Rngs) -> Any:
    return nnx.LayerNorm(SIZE, epsilon=1e-5, rngs=rngs)


class FlaxEncoderLayer(nnx.Module):
    def __init__(self, rngs: nnx.Rngs) -> None:
        self.self_attn = _attention(rngs)
        self.linear1 = nnx.Linear(SIZE, INNER, rngs=rngs)
        self.linear2 = nnx.Linear(INNER, SIZE, rngs=rngs)
        self.norm1, self.norm2 = _norm(rngs), _norm(rngs)

    def __call__(self, x: Any) -> Any:
        x = self.norm1(x + self.self_attn(x))
        return self.norm2(x + self.linear2(nnx.relu(self.linear1(x))))


class FlaxDecoderLayer(nnx.Module):
    def __init__(self, rngs: nnx.Rngs) -> None:
        self.self_attn, self.multihead_attn = _attention(rngs), _attention(rngs)
        self.linear1 = nnx.Linear(SIZE, INNER, rngs=rngs)
        self.linear2 = nnx.Linear(INNER, SIZE, rngs=rngs)
        self.norm1, self.norm2, self.norm3 = _norm(rngs), _norm(rngs), _norm(rngs)

    def __call__(self, x: Any, memory: Any) -> Any:
        x = self.norm1(x + self.self_attn(x))
        x = self.norm2(x + self.multihead_attn(x, memory))
        return self.norm3(x + self.linear2(nnx.relu(self.linear1(x))))


class TorchEncoder(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed = torch.nn.Embedding(TOKENS, SIZE)
        layer = torch.nn.TransformerEncoderLayer(SIZE, HEADS, INNER, dropout=0.0, batch_first=True)
        # torch copies this one layer, so that all layers start equal.
        self.encoder = torch.nn.TransformerEncoder(layer, LAYERS, torch.nn.LayerNorm(SIZE))
        self.head = torch.nn.Linear(SIZE, TOKENS)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        scores: torch.Tensor = self.head(self.encoder(self.embed(tokens)))
        return scores


class FlaxStack(nnx.Module):
    def __init__(self, rngs: nnx.Rngs) -> None:
        self.layers = nnx.List([FlaxEncoderLayer(rngs) for _ in range(LAYERS)])
        self.norm = _norm(rngs)

    def __call__(self, x: Any) -> Any:
        for layer in self.layers:
            x = layer(x)
        return self.norm(x)


class FlaxEncoder(nnx.Module):
    def __init__(self, rngs: nnx.Rngs) -> None:
        self.embed = nnx.Embed(TOKENS, SIZE, rngs=rngs)
        self.encoder = FlaxStack(rngs)
        self.head = nnx.Linear(SIZE, TOKENS, rngs=rngs)

    def __call__(self, tokens: Any) -> Any:
        return self.head(self.encoder(self.embed(tokens)))
