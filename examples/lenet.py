"""A LeNet for 32 x 32 colour images, in Flax NNX: torch's defaults, kaiming where relu follows, xavier at the output.

In torch, at the end of the constructor, which has drawn the defaults already:

    nn.init.kaiming_normal_(self.fc1.weight, mode="fan_in", nonlinearity="relu")
    nn.init.kaiming_normal_(self.fc2.weight, mode="fan_in", nonlinearity="relu")
    nn.init.xavier_normal_(self.fc3.weight)

and, for all linear layers of a model that is built:

    if isinstance(m, nn.Linear): nn.init.xavier_uniform_(m.weight)
    net.apply(init_weights)
"""

import math

import jax
import jax.numpy as jnp
from flax import nnx

import jaxinit


class LeNet(nnx.Module):
    def __init__(self, rngs: nnx.Rngs):
        self.conv1 = nnx.Conv(3, 6, (5, 5), padding="VALID", rngs=rngs)
        self.conv2 = nnx.Conv(6, 16, (5, 5), padding="VALID", rngs=rngs)
        self.fc1 = nnx.Linear(16 * 5 * 5, 120, rngs=rngs)
        self.fc2 = nnx.Linear(120, 84, rngs=rngs)
        self.fc3 = nnx.Linear(84, 10, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        for conv in (self.conv1, self.conv2):
            x = nnx.max_pool(nnx.relu(conv(x)), (2, 2), (2, 2))
        x = x.transpose(0, 3, 1, 2).reshape(len(x), -1)  # torch flattens channels first
        x = nnx.relu(self.fc2(nnx.relu(self.fc1(x))))
        return nnx.sigmoid(self.fc3(x))


def mixed(module: nnx.Module) -> dict[str, jaxinit.Initializer] | None:
    kaiming = jaxinit.kaiming_normal(mode="fan_in", nonlinearity="relu")
    if isinstance(module, LeNet):
        return {"fc1.kernel": kaiming, "fc2.kernel": kaiming, "fc3.kernel": jaxinit.xavier_normal()}
    return None


def init_weights(module: nnx.Module) -> dict[str, jaxinit.Initializer] | None:
    return {"kernel": jaxinit.xavier_uniform()} if isinstance(module, nnx.Linear) else None


def build(rngs: nnx.Rngs) -> LeNet:
    net = jaxinit.nnx.init(LeNet, rngs)
    jaxinit.nnx.apply(net, mixed, rngs)
    return net


def main() -> None:
    rngs = nnx.Rngs(0)
    net = build(rngs)
    fans = {"conv1": 3 * 25, "conv2": 6 * 25, "fc1": 400, "fc2": 120, "fc3": 84}
    wanted = {name: 1 / math.sqrt(3 * fan_in) for name, fan_in in fans.items()}  # torch's default
    wanted |= {"fc1": math.sqrt(2 / 400), "fc2": math.sqrt(2 / 120), "fc3": math.sqrt(2 / (84 + 10))}
    for name, std in wanted.items():
        kernel, bias = getattr(net, name).kernel[...], getattr(net, name).bias[...]
        assert abs(kernel.std() / std - 1) < 6 / math.sqrt(kernel.size)
        assert abs(bias).max() <= 1 / math.sqrt(fans[name])
        print(f"{name} {kernel.shape}: std {kernel.std():.4f}, wanted {std:.4f}; bias up to {abs(bias).max():.4f}")
    print("output", net(jnp.ones((4, 32, 32, 3))).shape)

    jaxinit.nnx.apply(net, init_weights, rngs)
    print(f"xavier_uniform on each nnx.Linear: fc1 std {net.fc1.kernel[...].std():.4f}")


if __name__ == "__main__":
    main()
