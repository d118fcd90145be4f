"""Two convolutions with batch norm, in Flax Linen; kernels by a formula, N(0, 2 / n) with n = k * k * out.

In torch, in a loop over the modules:

    n = m.kernel_size[0] * m.kernel_size[1] * m.out_channels
    m.weight.data.normal_(0, math.sqrt(2.0 / n))

As n is fan_out, this is kaiming_normal(mode="fan_out", nonlinearity="relu") by another name.
"""

import math

import flax.linen as nn
import jax
import jax.numpy as jnp

import jaxinit


class DoubleConv(nn.Module):
    features: int
    middle: int

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        for features in (self.middle, self.features):
            std = math.sqrt(2 / (3 * 3 * features))
            x = nn.Conv(features, (3, 3), use_bias=False, kernel_init=jaxinit.normal(0, std))(x)
            x = nn.BatchNorm(use_running_average=False, scale_init=jaxinit.ones(), bias_init=jaxinit.zeros())(x)
            x = nn.relu(x)
        return x


def main() -> None:
    model = DoubleConv(features=128, middle=64)
    variables = model.init(jax.random.key(0), jnp.ones((1, 16, 16, 3)))
    same = jaxinit.kaiming_normal(mode="fan_out", nonlinearity="relu")
    for name in ("Conv_0", "Conv_1"):
        kernel = variables["params"][name]["kernel"]
        wanted = same.distribution(kernel.shape).std
        assert math.isclose(math.sqrt(2 / (9 * kernel.shape[-1])), wanted)
        assert abs(kernel.std() / wanted - 1) < 6 / math.sqrt(kernel.size)
        print(f"{name} {kernel.shape}: std {kernel.std():.4f}, wanted {wanted:.4f}")


if __name__ == "__main__":
    main()
