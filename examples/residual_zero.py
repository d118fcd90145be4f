"""Residual blocks that start as the identity, in Flax NNX: the scale of each one's last norm is zero.

In torch, after the layers are built:

    for m in self.modules():
        if isinstance(m, nn.Conv2d):
            nn.init.kaiming_normal_(m.weight, mode="fan_out", nonlinearity="relu")
        elif isinstance(m, nn.BatchNorm2d):
            nn.init.constant_(m.weight, 1)
            nn.init.constant_(m.bias, 0)
    for m in self.modules():
        if isinstance(m, Block):
            nn.init.constant_(m.bn2.weight, 0)

A block then passes its input on, and so does any stack of them, however deep.
"""

import jax
import jax.numpy as jnp
from flax import nnx

import jaxinit


class Block(nnx.Module):
    def __init__(self, features: int, rngs: nnx.Rngs):
        self.conv1 = nnx.Conv(features, features, (3, 3), use_bias=False, rngs=rngs)
        self.bn1 = nnx.BatchNorm(features, momentum=0.9, rngs=rngs)
        self.conv2 = nnx.Conv(features, features, (3, 3), use_bias=False, rngs=rngs)
        self.bn2 = nnx.BatchNorm(features, momentum=0.9, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        return x + self.bn2(self.conv2(nnx.relu(self.bn1(self.conv1(x)))))


def init_weights(m: nnx.Module) -> dict[str, jaxinit.Initializer] | None:
    match m:
        case nnx.Conv():
            return {"kernel": jaxinit.kaiming_normal(mode="fan_out", nonlinearity="relu")}
        case nnx.BatchNorm():
            return {"scale": jaxinit.constant(1), "bias": jaxinit.constant(0)}
        case Block():  # asked after the modules in it
            return {"bn2.scale": jaxinit.constant(0)}
    return None


def build(depth: int, rngs: nnx.Rngs) -> nnx.Sequential:
    model = nnx.Sequential(*(Block(16, rngs) for _ in range(depth)))
    jaxinit.nnx.apply(model, init_weights, rngs)
    return model


def main() -> None:
    rngs = nnx.Rngs(0)
    x = jaxinit.normal()(jax.random.key(1), (2, 8, 8, 16))
    y = build(5, rngs)(x)
    assert jnp.array_equal(y, x)
    print("five blocks change nothing:", float(abs(y - x).max()))

    gradient = nnx.grad(lambda model: (model(x) ** 2).mean())(build(1, rngs))
    size = float(abs(gradient.layers[0].bn2.scale[...]).max())
    assert size > 0
    print(f"the zero scale has a gradient, up to {size:.3f}, so it learns")


if __name__ == "__main__":
    main()
