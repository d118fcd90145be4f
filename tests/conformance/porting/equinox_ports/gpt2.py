"""GPT-2 in Equinox: `eqx.nn.Shared` ties the head to the table."""

import math
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

import jaxinit

from ..ports.gpt2 import DEPTH, HEADS, POSITIONS, TOKENS, WIDTH

RENAME = {"wte.weight": "shared.0.weight", "lm_head.weight": "shared.1.weight"}


class Attention(eqx.Module):
    c_attn: eqx.nn.Linear
    c_proj: eqx.nn.Linear

    def __init__(self, key: jax.Array) -> None:
        self.c_attn = eqx.nn.Linear(WIDTH, 3 * WIDTH, key=key)
        self.c_proj = eqx.nn.Linear(WIDTH, WIDTH, key=key)

    def __call__(self, x: Any) -> Any:
        query, key, value = (
            part.reshape(len(x), HEADS, -1) for part in jnp.split(jax.vmap(self.c_attn)(x), 3, axis=-1)
        )
        mixed = jax.nn.dot_product_attention(query, key, value, is_causal=True)
        return jax.vmap(self.c_proj)(mixed.reshape(x.shape))


class Hidden(eqx.Module):
    c_fc: eqx.nn.Linear
    c_proj: eqx.nn.Linear

    def __init__(self, key: jax.Array) -> None:
        self.c_fc = eqx.nn.Linear(WIDTH, 4 * WIDTH, key=key)
        self.c_proj = eqx.nn.Linear(4 * WIDTH, WIDTH, key=key)

    def __call__(self, x: Any) -> Any:
        return self.c_proj(jax.nn.gelu(self.c_fc(x)))


class Block(eqx.Module):
    ln_1: eqx.nn.LayerNorm
    attn: Attention
    ln_2: eqx.nn.LayerNorm
    mlp: Hidden

    def __init__(self, key: jax.Array) -> None:
        self.ln_1, self.ln_2 = eqx.nn.LayerNorm(WIDTH), eqx.nn.LayerNorm(WIDTH)
        self.attn, self.mlp = Attention(key), Hidden(key)

    def __call__(self, x: Any) -> Any:
        x = x + self.attn(jax.vmap(self.ln_1)(x))
        return x + jax.vmap(self.mlp)(jax.vmap(self.ln_2)(x))


class GPT2(eqx.Module):
    shared: eqx.nn.Shared
    wpe: eqx.nn.Embedding
    h: list[Block]
    ln_f: eqx.nn.LayerNorm

    def __init__(self, key: jax.Array) -> None:
        parts = eqx.nn.Embedding(TOKENS, WIDTH, key=key), eqx.nn.Linear(WIDTH, TOKENS, use_bias=False, key=key)
        self.shared = eqx.nn.Shared(parts, lambda parts: parts[1].weight, lambda parts: parts[0].weight)
        self.wpe = eqx.nn.Embedding(POSITIONS, WIDTH, key=key)
        self.h = [Block(key) for _ in range(DEPTH)]
        self.ln_f = eqx.nn.LayerNorm(WIDTH)

    def __call__(self, tokens: Any) -> Any:
        wte, head = self.shared()
        x = jax.vmap(wte)(tokens) + jax.vmap(self.wpe)(jnp.arange(len(tokens)))
        for block in self.h:
            x = block(x)
        return jax.vmap(head)(jax.vmap(self.ln_f)(x))


def build(key: jax.Array) -> GPT2:
    rules = {
        "**/ln_*/*": None,
        "**/bias": jaxinit.zeros(),
        "**/c_proj/weight": jaxinit.normal(std=0.02 / math.sqrt(2 * DEPTH)),
        "**/weight": jaxinit.normal(std=0.02),
    }
    return jaxinit.equinox.apply(jaxinit.equinox.init(GPT2, key), rules, key)
