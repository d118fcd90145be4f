"""ResNet-18 in Equinox, narrow: the statistics of BatchNorm lie in the state."""

from typing import Any

import equinox as eqx
import jax

import jaxinit

from ..ports.resnet import CLASSES, WIDTH


class Block(eqx.nn.StatefulLayer):
    conv1: eqx.nn.Conv2d
    bn1: eqx.nn.BatchNorm
    conv2: eqx.nn.Conv2d
    bn2: eqx.nn.BatchNorm
    downsample: eqx.nn.Sequential

    def __init__(self, size: int, features: int, stride: int, key: jax.Array) -> None:
        self.conv1, self.bn1 = conv(size, features, 3, stride, key), norm(features)
        self.conv2, self.bn2 = conv(features, features, 3, 1, key), norm(features)
        shortcut: list[Any] = [conv(size, features, 1, stride, key), norm(features)] if stride > 1 else []
        self.downsample = eqx.nn.Sequential(shortcut)

    def __call__(self, x: Any, state: eqx.nn.State, *, key: Any = None) -> tuple[Any, eqx.nn.State]:
        y, state = self.bn1(self.conv1(x), state)
        y, state = self.bn2(self.conv2(jax.nn.relu(y)), state)
        x, state = self.downsample(x, state)
        return jax.nn.relu(x + y), state


class ResNet(eqx.Module):
    conv1: eqx.nn.Conv2d
    bn1: eqx.nn.BatchNorm
    pool: eqx.nn.MaxPool2d
    layer1: eqx.nn.Sequential
    layer2: eqx.nn.Sequential
    layer3: eqx.nn.Sequential
    layer4: eqx.nn.Sequential
    fc: eqx.nn.Linear

    def __init__(self, key: jax.Array) -> None:
        self.conv1, self.bn1 = conv(3, WIDTH, 7, 2, key), norm(WIDTH)
        self.pool = eqx.nn.MaxPool2d(3, 2, 1)
        self.layer1 = stage(WIDTH, WIDTH, 1, key)
        self.layer2, self.layer3, self.layer4 = (stage(WIDTH * 2**i, WIDTH * 2 ** (i + 1), 2, key) for i in range(3))
        self.fc = eqx.nn.Linear(8 * WIDTH, CLASSES, key=key)

    def __call__(self, image: Any, state: eqx.nn.State) -> tuple[Any, eqx.nn.State]:
        x, state = self.bn1(self.conv1(image), state)
        x = self.pool(jax.nn.relu(x))
        for each in (self.layer1, self.layer2, self.layer3, self.layer4):
            x, state = each(x, state)
        return self.fc(x.mean((1, 2))), state


def conv(size: int, features: int, width: int, stride: int, key: jax.Array) -> eqx.nn.Conv2d:
    return eqx.nn.Conv2d(size, features, width, stride, width // 2, use_bias=False, key=key)


def norm(features: int) -> eqx.nn.BatchNorm:
    return eqx.nn.BatchNorm(features, "batch", momentum=0.9, mode="batch")


def stage(size: int, features: int, stride: int, key: jax.Array) -> eqx.nn.Sequential:
    return eqx.nn.Sequential([Block(size, features, stride, key), Block(features, features, 1, key)])


def init_weights(module: eqx.Module) -> Any:
    if isinstance(module, eqx.nn.Conv):
        return {"weight": jaxinit.kaiming_normal(mode="fan_out", nonlinearity="relu")}
    return None


def build(key: jax.Array) -> tuple[ResNet, eqx.nn.State]:
    model = jaxinit.equinox.init(eqx.nn.make_with_state(ResNet), key)
    return jaxinit.equinox.apply(model, init_weights, key)
