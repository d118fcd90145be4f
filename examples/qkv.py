"""Self-attention whose query, key and value start small, in Flax NNX.

In torch:

    nn.init.xavier_uniform_(self.qkv.weight, gain=1 / math.sqrt(dim))

All else is torch's default for a Linear.
"""

import math

import jax
import jax.numpy as jnp
from flax import nnx

import jaxinit


class SelfAttention(nnx.Module):
    def __init__(self, dim: int, heads: int, rngs: nnx.Rngs):
        self.heads = heads
        self.qkv = nnx.Linear(dim, 3 * dim, rngs=rngs)
        self.proj = nnx.Linear(dim, dim, rngs=rngs)

    def scores(self, x: jax.Array) -> tuple[jax.Array, jax.Array]:
        """The products of queries with keys (batch, heads, query, key), and the values."""
        batch, length, dim = x.shape
        parts = self.qkv(x).reshape(batch, length, 3, self.heads, dim // self.heads)
        query, key, value = parts.transpose(2, 0, 3, 1, 4)
        return query @ key.swapaxes(-1, -2) / math.sqrt(dim // self.heads), value

    def __call__(self, x: jax.Array) -> jax.Array:
        scores, value = self.scores(x)
        mixed = nnx.softmax(scores) @ value
        return self.proj(mixed.transpose(0, 2, 1, 3).reshape(x.shape))


def init_weights(m: nnx.Module) -> dict[str, jaxinit.Initializer] | None:
    if isinstance(m, SelfAttention):
        return {"qkv.kernel": jaxinit.xavier_uniform(gain=1 / math.sqrt(m.qkv.in_features))}
    return None


def build(dim: int, heads: int, rngs: nnx.Rngs) -> SelfAttention:
    model = jaxinit.nnx.init(lambda rngs: SelfAttention(dim, heads, rngs), rngs)
    jaxinit.nnx.apply(model, init_weights, rngs)
    return model


def main() -> None:
    dim = 64
    model = build(dim, 4, nnx.Rngs(0))
    bound = math.sqrt(6 / (dim + 3 * dim)) / math.sqrt(dim)
    kernel = model.qkv.kernel[...]
    assert 0.99 * bound < abs(kernel).max() <= bound
    print(f"qkv {kernel.shape}: up to {abs(kernel).max():.5f}, wanted {bound:.5f}")

    x = jaxinit.normal()(jax.random.key(1), (8, 32, dim))
    weights = nnx.softmax(model.scores(x)[0])
    print(f"attention starts near 1/32 = {1 / 32:.4f}: from {weights.min():.4f} to {weights.max():.4f}")
    assert jnp.allclose(weights, 1 / 32, rtol=0.5)
    print("output", model(x).shape)


if __name__ == "__main__":
    main()
