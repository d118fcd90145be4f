"""A transformer whose blocks are stacked: torch has a list, NNX a vmap and a scan, Linen a scan."""

from typing import Any

import flax.linen as nn
import numpy as np
import torch
from flax import nnx

import jaxinit

WIDTH, HEADS, DEPTH = 16, 4, 3
INPUTS = np.random.default_rng(0).normal(size=(2, 6, WIDTH)).astype(np.float32)


class TorchBlock(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm = torch.nn.LayerNorm(WIDTH)
        self.attn = torch.nn.MultiheadAttention(WIDTH, HEADS, batch_first=True)
        self.up, self.down = torch.nn.Linear(WIDTH, 4 * WIDTH), torch.nn.Linear(4 * WIDTH, WIDTH)

    def forward(self, x: Any) -> Any:
        h = self.norm(x)
        x = x + self.attn(h, h, h, need_weights=False)[0]
        return x + self.down(self.up(x).relu())


class TorchStack(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.blocks = torch.nn.ModuleList(TorchBlock() for _ in range(DEPTH))

    def forward(self, x: Any) -> Any:
        for block in self.blocks:
            x = block(x)
        return x


class Block(nnx.Module):
    def __init__(self, rngs: nnx.Rngs) -> None:
        self.norm = nnx.LayerNorm(WIDTH, epsilon=1e-5, rngs=rngs)
        self.attn = nnx.MultiHeadAttention(HEADS, WIDTH, decode=False, rngs=rngs)
        self.up, self.down = nnx.Linear(WIDTH, 4 * WIDTH, rngs=rngs), nnx.Linear(4 * WIDTH, WIDTH, rngs=rngs)

    def __call__(self, x: Any) -> Any:
        x = x + self.attn(self.norm(x))
        return x + self.down(nnx.relu(self.up(x)))


class Stack(nnx.Module):
    def __init__(self, rngs: nnx.Rngs) -> None:
        self.blocks = nnx.split_rngs(splits=DEPTH)(nnx.vmap(Block))(rngs)

    def __call__(self, x: Any) -> Any:
        return nnx.scan(lambda x, block: block(x), in_axes=(nnx.Carry, 0), out_axes=nnx.Carry)(x, self.blocks)


class LinenBlock(nn.Module):
    @nn.compact
    def __call__(self, x: Any, _: Any) -> tuple[Any, None]:
        own = jaxinit.defaults.multihead_attention(WIDTH)
        attention = nn.MultiHeadDotProductAttention(HEADS, **own, name="attn")
        up = nn.Dense(4 * WIDTH, **jaxinit.defaults.linear(WIDTH), name="up")
        down = nn.Dense(WIDTH, **jaxinit.defaults.linear(4 * WIDTH), name="down")
        x = x + attention(nn.LayerNorm(epsilon=1e-5, name="norm")(x))
        return x + down(nn.relu(up(x))), None


class LinenStack(nn.Module):
    @nn.compact
    def __call__(self, x: Any) -> Any:
        scanned = nn.scan(LinenBlock, variable_axes={"params": 0}, split_rngs={"params": True}, length=DEPTH)
        return scanned(name="blocks")(x, None)[0]
