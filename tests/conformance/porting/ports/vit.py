"""A ViT with four Linears for attention, as transformers writes it, onto Flax's attention."""

from typing import Any

import jax.numpy as jnp
import numpy as np
import torch
from flax import nnx

import jaxinit

WIDTH, HEADS, PATCH, DEPTH, CLASSES = 16, 4, 4, 2, 5
IMAGES = np.random.default_rng(0).normal(size=(2, 3, 8, 8)).astype(np.float32)
INPUTS = {"torch": IMAGES, "flax": np.moveaxis(IMAGES, 1, -1)}
POSITIONS = 1 + (8 // PATCH) ** 2


class TorchAttention(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.query, self.key, self.value, self.out = (torch.nn.Linear(WIDTH, WIDTH) for _ in range(4))

    def forward(self, x: Any) -> Any:
        split = (layer(x).unflatten(-1, (HEADS, -1)).transpose(1, 2) for layer in (self.query, self.key, self.value))
        return self.out(torch.nn.functional.scaled_dot_product_attention(*split).transpose(1, 2).flatten(2))


class TorchBlock(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm1, self.norm2 = torch.nn.LayerNorm(WIDTH, eps=1e-6), torch.nn.LayerNorm(WIDTH, eps=1e-6)
        self.attn = TorchAttention()
        self.up, self.down = torch.nn.Linear(WIDTH, 4 * WIDTH), torch.nn.Linear(4 * WIDTH, WIDTH)

    def forward(self, x: Any) -> Any:
        x = x + self.attn(self.norm1(x))
        return x + self.down(torch.nn.functional.gelu(self.up(self.norm2(x))))


class TorchViT(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.cls = torch.nn.Parameter(torch.zeros(1, 1, WIDTH))
        self.position = torch.nn.Parameter(torch.empty(1, POSITIONS, WIDTH).normal_(std=0.02))
        self.patch = torch.nn.Conv2d(3, WIDTH, PATCH, PATCH)
        self.blocks = torch.nn.ModuleList(TorchBlock() for _ in range(DEPTH))
        self.norm, self.head = torch.nn.LayerNorm(WIDTH, eps=1e-6), torch.nn.Linear(WIDTH, CLASSES)

    def forward(self, images: Any) -> Any:
        x = self.patch(images).flatten(2).transpose(1, 2)
        x = torch.cat([self.cls.expand(len(x), -1, -1), x], dim=1) + self.position
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x)[:, 0])


class Attention(nnx.MultiHeadAttention):
    """Four Linears in torch, and so with the defaults of Linear."""


class Block(nnx.Module):
    def __init__(self, rngs: nnx.Rngs) -> None:
        self.norm1, self.norm2 = (nnx.LayerNorm(WIDTH, epsilon=1e-6, rngs=rngs) for _ in range(2))
        self.attn = Attention(HEADS, WIDTH, decode=False, rngs=rngs)
        self.up, self.down = nnx.Linear(WIDTH, 4 * WIDTH, rngs=rngs), nnx.Linear(4 * WIDTH, WIDTH, rngs=rngs)

    def __call__(self, x: Any) -> Any:
        x = x + self.attn(self.norm1(x))
        return x + self.down(nnx.gelu(self.up(self.norm2(x)), approximate=False))


class ViT(nnx.Module):
    def __init__(self, rngs: nnx.Rngs) -> None:
        self.cls = nnx.Param(jnp.zeros((1, 1, WIDTH)))
        self.position = nnx.Param(jnp.zeros((1, POSITIONS, WIDTH)))
        self.patch = nnx.Conv(3, WIDTH, (PATCH, PATCH), strides=PATCH, padding="VALID", rngs=rngs)
        self.blocks = nnx.List(Block(rngs) for _ in range(DEPTH))
        self.norm, self.head = nnx.LayerNorm(WIDTH, epsilon=1e-6, rngs=rngs), nnx.Linear(WIDTH, CLASSES, rngs=rngs)

    def __call__(self, images: Any) -> Any:
        x = self.patch(images).reshape(len(images), -1, WIDTH)
        x = jnp.concatenate([jnp.broadcast_to(self.cls[...], (len(x), 1, WIDTH)), x], axis=1) + self.position[...]
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x)[:, 0])


jaxinit.nnx.register(Attention, lambda _: None)
jaxinit.nnx.register(ViT, lambda _: {"cls": jaxinit.zeros(), "position": jaxinit.normal(std=0.02)})
