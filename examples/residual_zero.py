"""A residual block that starts as the identity: the scale of its last norm is zero.

In torch: nn.init.constant_(bn2.weight, 0). The block then passes its input on, and so does
any stack of them, however deep.
"""

import jax
import jax.numpy as jnp
from flax import nnx

import jaxinit

KERNEL = jaxinit.kaiming_normal(mode="fan_out", nonlinearity="relu")


class Block(nnx.Module):
    def __init__(self, features: int, rngs: nnx.Rngs):
        self.conv1 = nnx.Conv(features, features, (3, 3), use_bias=False, kernel_init=KERNEL, rngs=rngs)
        self.norm1 = nnx.BatchNorm(features, scale_init=jaxinit.ones(), rngs=rngs)
        self.conv2 = nnx.Conv(features, features, (3, 3), use_bias=False, kernel_init=KERNEL, rngs=rngs)
        self.norm2 = nnx.BatchNorm(features, scale_init=jaxinit.constant(0), rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        branch = self.norm2(self.conv2(nnx.relu(self.norm1(self.conv1(x)))))
        return x + branch


def main() -> None:
    rngs = nnx.Rngs(0)
    x = jaxinit.normal()(jax.random.key(1), (2, 8, 8, 16))
    y = x
    for _ in range(5):
        y = Block(16, rngs)(y)
    assert jnp.array_equal(y, x)
    print("five blocks change nothing:", float(abs(y - x).max()))

    block = Block(16, rngs)
    gradient = nnx.grad(lambda block: (block(x) ** 2).mean())(block)
    size = float(abs(gradient.norm2.scale[...]).max())
    assert size > 0
    print(f"the zero scale has a gradient, up to {size:.3f}, so it learns")


if __name__ == "__main__":
    main()
