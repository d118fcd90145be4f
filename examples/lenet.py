"""A LeNet for 32 x 32 colour images, in Flax NNX: kaiming where relu follows, xavier at the output.

In torch, after the layers are built:

    nn.init.kaiming_normal_(self.fc1.weight, mode="fan_in", nonlinearity="relu")
    nn.init.kaiming_normal_(self.fc2.weight, mode="fan_in", nonlinearity="relu")
    nn.init.xavier_normal_(self.fc3.weight)

All else is torch's default: U(-b, b) with b = 1 / sqrt(fan_in), for weights and biases.
"""

import math

import jax
import jax.numpy as jnp
from flax import nnx

import jaxinit

KAIMING = jaxinit.kaiming_normal(mode="fan_in", nonlinearity="relu")
XAVIER = jaxinit.xavier_normal()
DEFAULT = jaxinit.kaiming_uniform(a=math.sqrt(5))


def default_bias(fan_in: int) -> jaxinit.Initializer:
    return jaxinit.uniform(-1 / math.sqrt(fan_in), 1 / math.sqrt(fan_in))


def convolution(inputs: int, outputs: int, size: int, rngs: nnx.Rngs) -> nnx.Conv:
    bias_init = default_bias(inputs * size * size)
    return nnx.Conv(inputs, outputs, (size, size), padding="VALID", kernel_init=DEFAULT, bias_init=bias_init, rngs=rngs)


def linear(inputs: int, outputs: int, kernel_init: jaxinit.Initializer, rngs: nnx.Rngs) -> nnx.Linear:
    return nnx.Linear(inputs, outputs, kernel_init=kernel_init, bias_init=default_bias(inputs), rngs=rngs)


class LeNet(nnx.Module):
    def __init__(self, rngs: nnx.Rngs):
        self.conv1 = convolution(3, 6, 5, rngs)
        self.conv2 = convolution(6, 16, 5, rngs)
        self.fc1 = linear(16 * 5 * 5, 120, KAIMING, rngs)
        self.fc2 = linear(120, 84, KAIMING, rngs)
        self.fc3 = linear(84, 10, XAVIER, rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        for conv in (self.conv1, self.conv2):
            x = nnx.max_pool(nnx.relu(conv(x)), (2, 2), (2, 2))
        x = x.reshape(len(x), -1)
        x = nnx.relu(self.fc2(nnx.relu(self.fc1(x))))
        return nnx.sigmoid(self.fc3(x))


def main() -> None:
    net = LeNet(nnx.Rngs(0))
    wanted = {"conv1": DEFAULT, "conv2": DEFAULT, "fc1": KAIMING, "fc2": KAIMING, "fc3": XAVIER}
    for name, init in wanted.items():
        kernel = getattr(net, name).kernel[...]
        std = init.distribution(kernel.shape).std
        assert abs(kernel.std() / std - 1) < 6 / math.sqrt(kernel.size)
        print(f"{name} {kernel.shape}: std {kernel.std():.4f}, wanted {std:.4f}")
    output = net(jnp.ones((4, 32, 32, 3)))
    assert output.shape == (4, 10)
    print("output", output.shape)


if __name__ == "__main__":
    main()
