"""Two convolutions with batch norm, in Flax NNX. Their kernels follow a formula, N(0, 2 / n) with n = k * k * out.

In torch, at the end of the constructor:

    for m in self.modules():
        if isinstance(m, nn.Conv2d):
            n = m.kernel_size[0] * m.kernel_size[1] * m.out_channels
            m.weight.data.normal_(0, math.sqrt(2.0 / n))
        elif isinstance(m, nn.BatchNorm2d):
            m.weight.data.fill_(1)
            m.bias.data.zero_()

As n is fan_out, this is kaiming_normal(mode="fan_out", nonlinearity="relu") by another name.
"""

import math

import jax
import jax.numpy as jnp
from flax import nnx

import jaxinit


class DoubleConv(nnx.Module):
    def __init__(self, in_features: int, out_features: int, mid_features: int, rngs: nnx.Rngs):
        self.double_conv = nnx.Sequential(
            nnx.Conv(in_features, mid_features, (3, 3), use_bias=False, rngs=rngs),
            nnx.BatchNorm(mid_features, momentum=0.9, rngs=rngs),
            nnx.relu,
            nnx.Conv(mid_features, out_features, (3, 3), use_bias=False, rngs=rngs),
            nnx.BatchNorm(out_features, momentum=0.9, rngs=rngs),
            nnx.relu,
        )
        jaxinit.nnx.apply(self, initialize_weights, rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        return self.double_conv(x)


def initialize_weights(m: nnx.Module) -> dict[str, jaxinit.Initializer] | None:
    match m:
        case nnx.Conv():
            n = m.kernel_size[0] * m.kernel_size[1] * m.out_features
            return {"kernel": jaxinit.normal(0, math.sqrt(2 / n))}
        case nnx.BatchNorm():
            return {"scale": jaxinit.constant(1), "bias": jaxinit.zeros()}
    return None


def main() -> None:
    model = DoubleConv(3, 128, 64, nnx.Rngs(0))
    same = jaxinit.kaiming_normal(mode="fan_out", nonlinearity="relu")
    for index in (0, 3):
        kernel = model.double_conv.layers[index].kernel[...]
        wanted = same.distribution(kernel.shape).std
        assert math.isclose(math.sqrt(2 / (9 * kernel.shape[-1])), wanted)
        assert abs(kernel.std() / wanted - 1) < 6 / math.sqrt(kernel.size)
        print(f"double_conv.{index} {kernel.shape}: std {kernel.std():.4f}, wanted {wanted:.4f}")
    print("output", model(jnp.ones((1, 16, 16, 3))).shape)


if __name__ == "__main__":
    main()
