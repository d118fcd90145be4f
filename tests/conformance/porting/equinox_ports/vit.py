"""A ViT in Equinox, with four Linears for attention as in torch."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

import jaxinit

from ..ports.vit import CLASSES, DEPTH, HEADS, PATCH, POSITIONS, WIDTH


class Attention(eqx.Module):
    query: eqx.nn.Linear
    key: eqx.nn.Linear
    value: eqx.nn.Linear
    out: eqx.nn.Linear

    def __init__(self, key: jax.Array) -> None:
        self.query, self.key, self.value, self.out = (eqx.nn.Linear(WIDTH, WIDTH, key=key) for _ in range(4))

    def __call__(self, x: Any) -> Any:
        split = (jax.vmap(layer)(x).reshape(len(x), HEADS, -1) for layer in (self.query, self.key, self.value))
        return jax.vmap(self.out)(jax.nn.dot_product_attention(*split).reshape(x.shape))


class Block(eqx.Module):
    norm1: eqx.nn.LayerNorm
    norm2: eqx.nn.LayerNorm
    attn: Attention
    up: eqx.nn.Linear
    down: eqx.nn.Linear

    def __init__(self, key: jax.Array) -> None:
        self.norm1, self.norm2 = eqx.nn.LayerNorm(WIDTH, eps=1e-6), eqx.nn.LayerNorm(WIDTH, eps=1e-6)
        self.attn = Attention(key)
        self.up, self.down = eqx.nn.Linear(WIDTH, 4 * WIDTH, key=key), eqx.nn.Linear(4 * WIDTH, WIDTH, key=key)

    def __call__(self, x: Any) -> Any:
        x = x + self.attn(jax.vmap(self.norm1)(x))
        hidden = jax.nn.gelu(jax.vmap(self.up)(jax.vmap(self.norm2)(x)), approximate=False)
        return x + jax.vmap(self.down)(hidden)


class ViT(eqx.Module):
    cls: jax.Array
    position: jax.Array
    patch: eqx.nn.Conv2d
    blocks: list[Block]
    norm: eqx.nn.LayerNorm
    head: eqx.nn.Linear

    def __init__(self, key: jax.Array) -> None:
        self.cls, self.position = jnp.zeros((1, 1, WIDTH)), jnp.zeros((1, POSITIONS, WIDTH))
        self.patch = eqx.nn.Conv2d(3, WIDTH, PATCH, PATCH, key=key)
        self.blocks = [Block(key) for _ in range(DEPTH)]
        self.norm, self.head = eqx.nn.LayerNorm(WIDTH, eps=1e-6), eqx.nn.Linear(WIDTH, CLASSES, key=key)

    def __call__(self, image: Any) -> Any:
        x = self.patch(image).reshape(WIDTH, -1).T
        x = jnp.concatenate([self.cls[0], x]) + self.position[0]
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x[0]))


jaxinit.equinox.register(ViT, lambda _: {"cls": jaxinit.zeros(), "position": jaxinit.normal(std=0.02)})
