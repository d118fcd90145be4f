"""GPT-2 as transformers writes it: Conv1D holds (in, out), the head is tied, residual projections are scaled."""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import torch
from flax import nnx

import jaxinit

WIDTH, HEADS, TOKENS, POSITIONS, DEPTH = 16, 4, 50, 8, 2
INPUTS = np.arange(2 * POSITIONS).reshape(2, POSITIONS)
TRANSPOSED = ["*c_attn", "*c_proj", "*c_fc"]


class Conv1D(torch.nn.Module):
    def __init__(self, features: int, size: int) -> None:
        super().__init__()
        self.weight, self.bias = (
            torch.nn.Parameter(torch.empty(size, features)),
            torch.nn.Parameter(torch.zeros(features)),
        )
        torch.nn.init.normal_(self.weight, std=0.02)

    def forward(self, x: Any) -> Any:
        return x @ self.weight + self.bias


class TorchBlock(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.ln_1, self.ln_2 = torch.nn.LayerNorm(WIDTH), torch.nn.LayerNorm(WIDTH)
        self.attn = torch.nn.ModuleDict({"c_attn": Conv1D(3 * WIDTH, WIDTH), "c_proj": Conv1D(WIDTH, WIDTH)})
        self.mlp = torch.nn.ModuleDict({"c_fc": Conv1D(4 * WIDTH, WIDTH), "c_proj": Conv1D(WIDTH, 4 * WIDTH)})

    def forward(self, x: Any) -> Any:
        query, key, value = (
            part.unflatten(-1, (HEADS, -1)).transpose(1, 2)
            for part in self.attn["c_attn"](self.ln_1(x)).split(WIDTH, dim=-1)
        )
        mixed = torch.nn.functional.scaled_dot_product_attention(query, key, value, is_causal=True)
        x = x + self.attn["c_proj"](mixed.transpose(1, 2).flatten(2))
        hidden = torch.nn.functional.gelu(self.mlp["c_fc"](self.ln_2(x)), approximate="tanh")
        return x + self.mlp["c_proj"](hidden)


class TorchGPT2(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.wte, self.wpe = torch.nn.Embedding(TOKENS, WIDTH), torch.nn.Embedding(POSITIONS, WIDTH)
        self.h = torch.nn.ModuleList(TorchBlock() for _ in range(DEPTH))
        self.ln_f, self.lm_head = torch.nn.LayerNorm(WIDTH), torch.nn.Linear(WIDTH, TOKENS, bias=False)
        self.lm_head.weight = self.wte.weight
        self.apply(self.init_weights)
        for name, parameter in self.named_parameters():
            if name.endswith("c_proj.weight"):
                torch.nn.init.normal_(parameter, std=0.02 / math.sqrt(2 * DEPTH))

    @staticmethod
    def init_weights(module: Any) -> None:
        if isinstance(module, torch.nn.Linear | torch.nn.Embedding | Conv1D):
            torch.nn.init.normal_(module.weight, std=0.02)

    def forward(self, tokens: Any) -> Any:
        x = self.wte(tokens) + self.wpe(torch.arange(tokens.shape[1]))
        for block in self.h:
            x = block(x)
        return self.lm_head(self.ln_f(x))


class Attention(nnx.Module):
    def __init__(self, rngs: nnx.Rngs) -> None:
        self.c_attn, self.c_proj = linear(WIDTH, 3 * WIDTH, rngs), residual(WIDTH, WIDTH, rngs)

    def __call__(self, x: Any) -> Any:
        query, key, value = (part.reshape(*x.shape[:2], HEADS, -1) for part in jnp.split(self.c_attn(x), 3, axis=-1))
        return self.c_proj(jax.nn.dot_product_attention(query, key, value, is_causal=True).reshape(x.shape))


class Hidden(nnx.Module):
    def __init__(self, rngs: nnx.Rngs) -> None:
        self.c_fc, self.c_proj = linear(WIDTH, 4 * WIDTH, rngs), residual(4 * WIDTH, WIDTH, rngs)

    def __call__(self, x: Any) -> Any:
        return self.c_proj(nnx.gelu(self.c_fc(x)))


class Block(nnx.Module):
    def __init__(self, rngs: nnx.Rngs) -> None:
        self.ln_1, self.ln_2 = (nnx.LayerNorm(WIDTH, epsilon=1e-5, rngs=rngs) for _ in range(2))
        self.attn, self.mlp = Attention(rngs), Hidden(rngs)

    def __call__(self, x: Any) -> Any:
        x = x + self.attn(self.ln_1(x))
        return x + self.mlp(self.ln_2(x))


class GPT2(nnx.Module):
    def __init__(self, rngs: nnx.Rngs) -> None:
        init = jaxinit.normal(std=0.02)
        self.wte = nnx.Embed(TOKENS, WIDTH, embedding_init=init, rngs=rngs)
        self.wpe = nnx.Embed(POSITIONS, WIDTH, embedding_init=init, rngs=rngs)
        self.h = nnx.List(Block(rngs) for _ in range(DEPTH))
        self.ln_f = nnx.LayerNorm(WIDTH, epsilon=1e-5, rngs=rngs)

    def __call__(self, tokens: Any) -> Any:
        x = self.wte(tokens) + self.wpe(jnp.arange(tokens.shape[1]))[None]
        for block in self.h:
            x = block(x)
        return self.wte.attend(self.ln_f(x))


def linear(size: int, features: int, rngs: nnx.Rngs, std: float = 0.02) -> nnx.Linear:
    return nnx.Linear(size, features, kernel_init=jaxinit.normal(std=std), rngs=rngs)


def residual(size: int, features: int, rngs: nnx.Rngs) -> nnx.Linear:
    return linear(size, features, rngs, 0.02 / math.sqrt(2 * DEPTH))
