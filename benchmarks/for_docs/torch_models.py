"""Whole models from one seed: how long does it take beside torch's constructors, and how much is equal?

Seconds: torch building the model after `torch.manual_seed`. `jaxinit.nnx.init` building its
twin in a trace and filling it from a TorchGenerator. `reset_parameters`, which draws alone.
Each the best of some rounds.

Equal: arrays, and numbers in them, that are torch's to the bit.

Run: python benchmarks/for_docs/torch_models.py [rounds]
"""

import sys
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np
import torch
from flax import nnx

import jaxinit
from jaxinit_conformance.modules.pairs import resnet


class Model(NamedTuple):
    """A model in torch and its twin."""

    name: str
    theirs: Callable[[], torch.nn.Module]
    ours: Callable[[nnx.Rngs], Any]


SIZE, HEADS, INNER, LAYERS, TOKENS, PLACES = 768, 12, 3072, 12, 30522, 512
STATE = 1024


class TorchEncoder(torch.nn.Module):
    """The size of BERT-base. Every layer draws for itself."""

    def __init__(self) -> None:
        super().__init__()
        self.tokens, self.places = torch.nn.Embedding(TOKENS, SIZE), torch.nn.Embedding(PLACES, SIZE)
        self.norm = torch.nn.LayerNorm(SIZE)
        self.layers = torch.nn.ModuleList(torch.nn.TransformerEncoderLayer(SIZE, HEADS, INNER) for _ in range(LAYERS))
        self.pooler = torch.nn.Linear(SIZE, SIZE)


class Layer(nnx.Module):
    def __init__(self, rngs: nnx.Rngs) -> None:
        self.self_attn = nnx.MultiHeadAttention(HEADS, SIZE, decode=False, rngs=rngs)
        self.linear1, self.linear2 = nnx.Linear(SIZE, INNER, rngs=rngs), nnx.Linear(INNER, SIZE, rngs=rngs)
        self.norm1, self.norm2 = nnx.LayerNorm(SIZE, rngs=rngs), nnx.LayerNorm(SIZE, rngs=rngs)


class Encoder(nnx.Module):
    def __init__(self, rngs: nnx.Rngs) -> None:
        self.tokens, self.places = nnx.Embed(TOKENS, SIZE, rngs=rngs), nnx.Embed(PLACES, SIZE, rngs=rngs)
        self.norm = nnx.LayerNorm(SIZE, rngs=rngs)
        self.layers = nnx.List([Layer(rngs) for _ in range(LAYERS)])
        self.pooler = nnx.Linear(SIZE, SIZE, rngs=rngs)


class TorchRecurrent(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed = torch.nn.Embedding(TOKENS, STATE)
        self.lstm = torch.nn.LSTM(STATE, STATE, 2)
        self.head = torch.nn.Linear(STATE, TOKENS)


class Recurrent(nnx.Module):
    def __init__(self, rngs: nnx.Rngs) -> None:
        self.embed = nnx.Embed(TOKENS, STATE, rngs=rngs)
        cells = [nnx.OptimizedLSTMCell(STATE, STATE, rngs=rngs) for _ in range(2)]
        self.lstm = nnx.List([nnx.RNN(cell, rngs=rngs) for cell in cells])
        self.head = nnx.Linear(STATE, TOKENS, rngs=rngs)


MODELS = (
    Model("ResNet-50 with decoder", resnet.pair(width=64).build_torch, resnet.pair(width=64).build_flax),
    Model("encoder, the size of BERT-base", TorchEncoder, Encoder),
    Model(f"LSTM, 2 layers of {STATE}", TorchRecurrent, Recurrent),
)


def torchs(model: Model, seed: int) -> torch.nn.Module:
    torch.manual_seed(seed)
    return model.theirs()


def filled(model: Model, seed: int) -> Any:
    drawn = jaxinit.nnx.init(model.ours, jaxinit.TorchGenerator(seed))
    jax.block_until_ready(state(drawn))
    return drawn


def redrawn(twin: Any, seed: int) -> Any:
    jaxinit.nnx.reset_parameters(twin, jaxinit.TorchGenerator(seed))
    return jax.block_until_ready(state(twin))


def state(twin: Any) -> Any:
    return nnx.state(twin, (nnx.Param, nnx.BatchStat))


def seconds(build: Callable[[], object]) -> float:
    start = time.perf_counter()
    build()
    return time.perf_counter() - start


def equal(ours: Any, theirs: Any) -> tuple[str, str]:
    """Arrays and numbers that are equal, each of how many."""
    leaves = (map(np.asarray, jax.tree.leaves(each)) for each in (ours, theirs))
    pairs = list(zip(*leaves, strict=True))
    arrays = sum(np.array_equal(*pair) for pair in pairs)
    numbers, of = sum(int((one == other).sum()) for one, other in pairs), sum(one.size for one, _ in pairs)
    return f"{arrays} of {len(pairs)}", f"{numbers / of:.4%} of {of}"


def row(model: Model, rounds: int, seed: int) -> list[str]:
    twin = filled(model, seed)
    contenders: tuple[Callable[[], object], ...] = (
        lambda: torchs(model, seed),
        lambda: filled(model, seed),
        lambda: redrawn(twin, seed),
    )
    best = [min(seconds(build) for _ in range(rounds)) for build in contenders]
    loaded = filled(model, seed + 1)
    jaxinit.nnx.load(loaded, {name: tensor.numpy() for name, tensor in torchs(model, seed).state_dict().items()})
    shares = equal(redrawn(twin, seed), state(loaded))
    return [model.name, *(f"{value:.2f} s" for value in best), *shares]


def main() -> None:
    rounds = int(sys.argv[1]) if sys.argv[1:] else 3
    columns = "model", "torch", "init", "reset_parameters", "arrays equal", "numbers equal"
    print(f"| {' | '.join(columns)} |\n|{'---|' * len(columns)}")
    for model in MODELS:
        print(f"| {' | '.join(row(model, rounds, seed=0))} |", flush=True)


if __name__ == "__main__":
    main()
