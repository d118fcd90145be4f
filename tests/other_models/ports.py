"""Ports with the shapes and the parameter names of two models of Google's Bonsai: ViT and ConvNeXt, in NNX.

`is_right` says whether a port starts and computes as the models of transformers. If not, it does what those
ports do: Flax's default initializers, another epsilon, and the approximate GELU.
"""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

import jaxinit

SIZE, HEADS, INNER, PATCH, IMAGE, LABELS, DEPTH = 32, 4, 64, 8, 16, 10, 1
NORMAL = jaxinit.normal(std=0.02)
TOKENS = jaxinit.trunc_normal(std=0.02)


def kernels(is_right: bool) -> dict[str, Any]:
    return {"kernel_init": NORMAL} if is_right else {}


class Embeddings(nnx.Module):
    def __init__(self, is_right: bool, rngs: nnx.Rngs) -> None:
        patch = (PATCH, PATCH)
        self.projection = nnx.Conv(3, SIZE, patch, strides=patch, rngs=rngs, **kernels(is_right))
        draw = TOKENS if is_right else jax.random.normal
        self.cls_token = nnx.Param(draw(rngs.params(), (1, 1, SIZE)))
        self.pos_embeddings = nnx.Param(draw(rngs.params(), (1, (IMAGE // PATCH) ** 2 + 1, SIZE)))

    def __call__(self, images: Any) -> Any:
        patches = self.projection(images).reshape(len(images), -1, SIZE)
        first = jnp.broadcast_to(self.cls_token[...], (len(images), 1, SIZE))
        return jnp.concatenate([first, patches], axis=1) + self.pos_embeddings[...]


class Layer(nnx.Module):
    def __init__(self, is_right: bool, rngs: nnx.Rngs) -> None:
        self.attention = nnx.MultiHeadAttention(HEADS, SIZE, decode=False, rngs=rngs, **kernels(is_right))
        self.linear1 = nnx.Linear(SIZE, INNER, rngs=rngs, **kernels(is_right))
        self.linear2 = nnx.Linear(INNER, SIZE, rngs=rngs, **kernels(is_right))
        self.layernorm_before = nnx.LayerNorm(SIZE, epsilon=1e-12, rngs=rngs)
        self.layernorm_after = nnx.LayerNorm(SIZE, epsilon=1e-12, rngs=rngs)
        self.is_right = is_right

    def __call__(self, x: Any) -> Any:
        x = x + self.attention(self.layernorm_before(x))
        return x + self.linear2(jax.nn.gelu(self.linear1(self.layernorm_after(x)), approximate=not self.is_right))


class ViT(nnx.Module):
    def __init__(self, rngs: nnx.Rngs, is_right: bool) -> None:
        self.pos_embeddings = Embeddings(is_right, rngs)
        self.layers = nnx.List([Layer(is_right, rngs) for _ in range(DEPTH)])
        self.ln = nnx.LayerNorm(SIZE, epsilon=1e-12, rngs=rngs)
        self.classifier = nnx.Linear(SIZE, LABELS, rngs=rngs, **kernels(is_right))

    def __call__(self, images: Any) -> Any:
        x = self.pos_embeddings(images)
        for layer in self.layers:
            x = layer(x)
        return self.classifier(self.ln(x)[:, 0])


VIT_NAMES = [
    (r"^vit\.embeddings\.position_embeddings", "pos_embeddings.pos_embeddings"),
    (r"^vit\.embeddings\.patch_embeddings\.projection", "pos_embeddings.projection"),
    (r"^vit\.embeddings", "pos_embeddings"),
    (r"^vit\.layernorm", "ln"),
    (r"^vit\.layers", "layers"),
    (r"mlp\.fc", "linear"),
    *(
        (rf"\.{torch}_proj\.", f".{flax}.")
        for torch, flax in {"q": "query", "k": "key", "v": "value", "o": "out"}.items()
    ),
]

DIMS, DEPTHS = (8, 16), (1, 1)


class Block(nnx.Module):
    def __init__(self, dim: int, is_right: bool, rngs: nnx.Rngs) -> None:
        options: Mapping[str, Any] = {"rngs": rngs, **kernels(is_right)}
        self.dwconv = nnx.Conv(dim, dim, (7, 7), padding=(3, 3), feature_group_count=dim, **options)
        self.norm = nnx.LayerNorm(dim, epsilon=1e-6 if is_right else 1e-12, rngs=rngs)
        self.pwconv1, self.pwconv2 = nnx.Linear(dim, 4 * dim, **options), nnx.Linear(4 * dim, dim, **options)
        self.gamma = nnx.Param(jnp.full((dim,), 1e-6))

    def __call__(self, x: Any) -> Any:
        hidden = jax.nn.gelu(self.pwconv1(self.norm(self.dwconv(x))), approximate=False)
        return x + self.gamma[...][None, None, None] * self.pwconv2(hidden)


class Stage(nnx.Module):
    def __init__(self, before: int, dim: int, depth: int, is_right: bool, rngs: nnx.Rngs) -> None:
        epsilon = 1e-6 if is_right else 1e-12
        down = nnx.Conv(before, dim, (2, 2), strides=(2, 2), rngs=rngs, **kernels(is_right))
        norm = nnx.LayerNorm(before, epsilon=epsilon, rngs=rngs)
        self.downsample_layers = nnx.List([norm, down] if before != dim else [])
        self.layers = nnx.List([Block(dim, is_right, rngs) for _ in range(depth)])

    def __call__(self, x: Any) -> Any:
        for layer in (*self.downsample_layers, *self.layers):
            x = layer(x)
        return x


class ConvNeXt(nnx.Module):
    def __init__(self, rngs: nnx.Rngs, is_right: bool) -> None:
        patch = nnx.Conv(3, DIMS[0], (4, 4), strides=(4, 4), rngs=rngs, **kernels(is_right))
        norm = nnx.LayerNorm(DIMS[0], epsilon=1e-6 if is_right else 1e-12, rngs=rngs)
        self.embedding_layer = nnx.Sequential(patch, norm)
        sizes = zip((DIMS[0], *DIMS), DIMS, DEPTHS, strict=False)
        self.stages = nnx.List([Stage(*size, is_right, rngs) for size in sizes])
        self.norm = nnx.LayerNorm(DIMS[-1], epsilon=1e-12, rngs=rngs)
        self.head = nnx.Linear(DIMS[-1], LABELS, rngs=rngs, **kernels(is_right))

    def __call__(self, images: Any) -> Any:
        x = self.embedding_layer(images)
        for stage in self.stages:
            x = stage(x)
        return self.head(self.norm(x.mean(axis=(1, 2))))


CONVNEXT_NAMES = [
    (r"^convnext\.embeddings\.patch_embeddings", "embedding_layer.layers.0"),
    (r"^convnext\.embeddings\.layernorm", "embedding_layer.layers.1"),
    (r"^convnext\.layernorm", "norm"),
    (r"^convnext\.encoder\.", ""),
    ("downsampling_layer", "downsample_layers"),
    (r"layers\.(\d+)\.layernorm", r"layers.\1.norm"),
    ("layer_scale_parameter", "gamma"),
    ("^classifier", "head"),
]
