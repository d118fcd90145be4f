"""A transformer in Equinox whose blocks are one stack, run by `jax.lax.scan`."""

from typing import Any

import equinox as eqx
import jax

from ..ports.scanned import DEPTH, HEADS, WIDTH


class Block(eqx.Module):
    norm: eqx.nn.LayerNorm
    attn: eqx.nn.MultiheadAttention
    up: eqx.nn.Linear
    down: eqx.nn.Linear

    def __init__(self, key: jax.Array) -> None:
        bias = {f"use_{part}_bias": True for part in ("query", "key", "value", "output")}
        self.norm = eqx.nn.LayerNorm(WIDTH)
        self.attn = eqx.nn.MultiheadAttention(HEADS, WIDTH, **bias, key=key)
        self.up, self.down = eqx.nn.Linear(WIDTH, 4 * WIDTH, key=key), eqx.nn.Linear(4 * WIDTH, WIDTH, key=key)

    def __call__(self, x: Any) -> Any:
        h = jax.vmap(self.norm)(x)
        x = x + self.attn(h, h, h)
        return x + jax.vmap(self.down)(jax.nn.relu(jax.vmap(self.up)(x)))


class Stack(eqx.Module):
    blocks: Block

    def __init__(self, key: jax.Array) -> None:
        self.blocks = eqx.filter_vmap(Block)(jax.random.split(key, DEPTH))

    def __call__(self, x: Any) -> Any:
        arrays, static = eqx.partition(self.blocks, eqx.is_array)
        return jax.lax.scan(lambda x, own: (eqx.combine(own, static)(x), None), x, arrays)[0]
