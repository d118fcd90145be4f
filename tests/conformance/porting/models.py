"""A torch model, and ports of it in NNX and Linen, right ones and ones with a mistake planted."""

import math
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import torch
from flax import nnx

import jaxinit

WIDTH, HEADS, TOKENS, DEPTH = 16, 4, 40, 1
SCALED = 0.02 / math.sqrt(2 * 12)  # as in a model of 12 blocks
INPUTS = np.arange(2 * 6).reshape(2, 6)


class TorchBlock(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm = torch.nn.LayerNorm(WIDTH)
        self.query, self.key, self.value, self.proj = (torch.nn.Linear(WIDTH, WIDTH) for _ in range(4))
        self.up, self.down = torch.nn.Linear(WIDTH, 4 * WIDTH), torch.nn.Linear(4 * WIDTH, WIDTH)

    def forward(self, x: Any) -> Any:
        h = self.norm(x)
        query, key, value = (layer(h).unflatten(-1, (HEADS, -1)) for layer in (self.query, self.key, self.value))
        weights = torch.einsum("bqhd,bkhd->bhqk", query, key).mul(math.sqrt(HEADS / WIDTH)).softmax(-1)
        x = x + self.proj(torch.einsum("bhqk,bkhd->bqhd", weights, value).flatten(-2))
        return x + self.down(torch.nn.functional.gelu(self.up(x)))


class TorchModel(torch.nn.Module):
    """GPT's rule: N(0, 0.02), zero biases, and residual projections scaled by the depth."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = torch.nn.Embedding(TOKENS, WIDTH, padding_idx=0)
        self.blocks = torch.nn.ModuleList(TorchBlock() for _ in range(DEPTH))
        for name, parameter in self.named_parameters():
            if name.endswith("bias"):
                torch.nn.init.zeros_(parameter)
            elif "norm" not in name and "embed" not in name:
                scaled = name.endswith(("proj.weight", "down.weight"))
                torch.nn.init.normal_(parameter, std=SCALED if scaled else 0.02)

    def forward(self, tokens: Any) -> Any:
        x = self.embed(tokens)
        for block in self.blocks:
            x = block(x)
        return x


def embedding(key: Any, shape: Any, dtype: Any = None, **kwargs: Any) -> Any:
    return jaxinit.normal()(key, shape, dtype, **kwargs).at[0].set(0)


class Block(nnx.Module):
    def __init__(self, rngs: nnx.Rngs, mistake: str) -> None:
        self.mistake = mistake

        def linear(size: int, features: int, std: float = 0.02, bias: bool = True) -> nnx.Linear:
            init = jaxinit.normal(std=std)
            return nnx.Linear(size, features, kernel_init=init, use_bias=bias, rngs=rngs)

        self.norm = nnx.LayerNorm(WIDTH, epsilon=1e-6 if "eps" in mistake else 1e-5, rngs=rngs)
        self.query, self.key, self.value = (linear(WIDTH, WIDTH) for _ in range(3))
        self.proj = linear(WIDTH, WIDTH, 0.02 if "scale" in mistake else SCALED)
        self.up = linear(WIDTH, 4 * WIDTH, bias="bias" not in mistake)
        self.down = linear(4 * WIDTH, WIDTH, SCALED)
        if "fan" in mistake:
            self.up.kernel[...] = jaxinit.xavier_normal()(rngs.params(), (WIDTH, 4 * WIDTH))

    def __call__(self, x: Any) -> Any:
        h = self.norm(x)
        query, key, value = (layer(h).reshape(*x.shape[:-1], HEADS, -1) for layer in (self.query, self.key, self.value))
        weights = jax.nn.softmax(jnp.einsum("bqhd,bkhd->bhqk", query, key) * math.sqrt(HEADS / WIDTH))
        mixed = jnp.einsum("bhqk,bkhd->bqhd", weights, value)
        mixed = (mixed[:, :, ::-1] if self.mistake == "heads" else mixed).reshape(x.shape)
        x = x + (
            mixed @ self.proj.kernel[...].T + jnp.asarray(self.proj.bias)[None, None]
            if self.mistake == "square"
            else self.proj(mixed)
        )
        return x + self.down(jax.nn.gelu(self.up(x), approximate=False))


class Model(nnx.Module):
    def __init__(self, rngs: nnx.Rngs, mistake: str = "") -> None:
        self.embed = nnx.Embed(TOKENS, WIDTH, embedding_init=embedding, rngs=rngs)
        self.blocks = nnx.List(Block(rngs, mistake) for _ in range(DEPTH))

    def __call__(self, tokens: Any) -> Any:
        x = self.embed(tokens)
        for block in self.blocks:
            x = block(x)
        return x


class TorchPair(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = torch.nn.Conv2d(3, 8, 3, padding=1), torch.nn.BatchNorm2d(8)

    def forward(self, x: Any) -> Any:
        return self.second(self.first(x)).relu()


class LinenPair(nn.Module):
    swapped: bool = False

    @nn.compact
    def __call__(self, x: Any) -> Any:
        defaults: Any = jaxinit.defaults.conv(8 if self.swapped else 3, (3, 3))
        x = nn.Conv(8, (3, 3), **defaults, name="first")(x)
        return jax.nn.relu(nn.BatchNorm(use_running_average=True, name="second")(x))


IMAGES = np.random.default_rng(0).normal(size=(2, 3, 6, 6)).astype(np.float32)


def images() -> dict[str, np.ndarray]:
    return {"torch": IMAGES, "flax": np.moveaxis(IMAGES, 1, -1)}
