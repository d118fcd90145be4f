"""A spatial attention layer with parameters of its own and its own `reset_parameters`, in Flax NNX.

In torch:

    def reset_parameters(self):
        for p in self.parameters():
            if p.dim() > 1:
                nn.init.xavier_uniform_(p)
            else:
                nn.init.uniform_(p)

There the constructor has to call it, or the parameters are whatever memory held. Here
`jaxinit.nnx.init` and `jaxinit.nnx.reset_parameters` call it, wherever the layer is in a model.
"""

import math

import jax
import jax.numpy as jnp
from flax import nnx

import jaxinit


class SpatialAttention(nnx.Module):
    """The attention of each of N vertices to each other, from their F features over T time steps."""

    def __init__(self, features: int, vertices: int, timesteps: int, rngs: nnx.Rngs):
        self.W1 = nnx.Param(jnp.zeros(timesteps))
        self.W2 = nnx.Param(jnp.zeros((features, timesteps)))
        self.W3 = nnx.Param(jnp.zeros(features))
        self.bs = nnx.Param(jnp.zeros((1, vertices, vertices)))
        self.Vs = nnx.Param(jnp.zeros((vertices, vertices)))

    def reset_parameters(self, rngs: nnx.Rngs) -> None:
        for p in (self.W1, self.W2, self.W3, self.bs, self.Vs):
            if p.ndim > 1:
                p[...] = jaxinit.xavier_uniform(layout=jaxinit.TORCH)(rngs.params(), p.shape)
            else:
                p[...] = jaxinit.uniform()(rngs.params(), p.shape)

    def __call__(self, x: jax.Array) -> jax.Array:
        """From (batch, N, F, T) to (batch, N, N), normalized over the first N."""
        left = (x @ self.W1) @ self.W2[...]
        right = jnp.einsum("f,bnft->btn", self.W3[...], x)
        scores = self.Vs @ nnx.sigmoid(left @ right + self.bs)
        return nnx.softmax(scores, axis=1)


def build(rngs: nnx.Rngs) -> SpatialAttention:
    return jaxinit.nnx.init(lambda rngs: SpatialAttention(1, 307, 12, rngs), rngs)


def main() -> None:
    layer = build(nnx.Rngs(0))
    # torch's fans of (1, 307, 307) count 307 * 307 inputs and 307 outputs.
    bounds = {"W1": 1, "W2": math.sqrt(6 / 13), "W3": 1, "bs": math.sqrt(6 / (307 * 308)), "Vs": math.sqrt(6 / 614)}
    for name, bound in bounds.items():
        values = getattr(layer, name)[...]
        assert abs(values).max() <= bound
        print(f"{name} {values.shape}: {values.min():.4f} to {values.max():.4f}, wanted within {bound:.4f}")
    attention = layer(jaxinit.normal()(jax.random.key(1), (2, 307, 1, 12)))
    assert jnp.allclose(attention.sum(axis=1), 1, atol=1e-5)
    print("output", attention.shape)


if __name__ == "__main__":
    main()
