"""ResNet-18, narrow, with torchvision's names and initialisation, in Linen."""

from typing import Any

import flax.linen as nn
import jax
import numpy as np
import torch

import jaxinit

WIDTH, CLASSES = 8, 5
IMAGES = np.random.default_rng(0).normal(size=(2, 3, 32, 32)).astype(np.float32)
INPUTS = {"torch": IMAGES, "flax": np.moveaxis(IMAGES, 1, -1)}


class TorchBlock(torch.nn.Module):
    def __init__(self, size: int, features: int, stride: int) -> None:
        super().__init__()
        self.conv1 = torch.nn.Conv2d(size, features, 3, stride, 1, bias=False)
        self.bn1 = torch.nn.BatchNorm2d(features)
        self.conv2 = torch.nn.Conv2d(features, features, 3, 1, 1, bias=False)
        self.bn2 = torch.nn.BatchNorm2d(features)
        self.downsample = torch.nn.Sequential()
        if stride > 1:
            shortcut = torch.nn.Conv2d(size, features, 1, stride, bias=False)
            self.downsample = torch.nn.Sequential(shortcut, torch.nn.BatchNorm2d(features))

    def forward(self, x: Any) -> Any:
        y = self.bn2(self.conv2(self.bn1(self.conv1(x)).relu()))
        return (y + self.downsample(x)).relu()


class TorchResNet(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.bn1 = torch.nn.Conv2d(3, WIDTH, 7, 2, 3, bias=False), torch.nn.BatchNorm2d(WIDTH)
        self.pool = torch.nn.MaxPool2d(3, 2, 1)
        sizes = [(WIDTH, WIDTH, 1)] + [(WIDTH * 2**i, WIDTH * 2 ** (i + 1), 2) for i in range(3)]
        for index, (size, features, stride) in enumerate(sizes, start=1):
            stage = torch.nn.Sequential(TorchBlock(size, features, stride), TorchBlock(features, features, 1))
            setattr(self, f"layer{index}", stage)
        self.fc = torch.nn.Linear(8 * WIDTH, CLASSES)
        for module in self.modules():
            if isinstance(module, torch.nn.Conv2d):
                torch.nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, images: Any) -> Any:
        x = self.pool(self.bn1(self.conv1(images)).relu())
        for index in range(1, 5):
            x = getattr(self, f"layer{index}")(x)
        return self.fc(x.mean((2, 3)))


class Block(nn.Module):
    features: int
    stride: int

    @nn.compact
    def __call__(self, x: Any) -> Any:
        y = jax.nn.relu(norm("bn1")(conv(self.features, 3, self.stride, "conv1")(x)))
        y = norm("bn2")(conv(self.features, 3, 1, "conv2")(y))
        if self.stride > 1:
            x = norm("downsample_1")(conv(self.features, 1, self.stride, "downsample_0")(x))
        return jax.nn.relu(x + y)


class ResNet(nn.Module):
    @nn.compact
    def __call__(self, images: Any) -> Any:
        x = jax.nn.relu(norm("bn1")(conv(WIDTH, 7, 2, "conv1")(images)))
        x = nn.max_pool(x, (3, 3), (2, 2), ((1, 1), (1, 1)))
        for index in range(4):
            for place in range(2):
                stride = 2 if index and not place else 1
                x = Block(WIDTH * 2**index, stride, name=f"layer{index + 1}_{place}")(x)
        return nn.Dense(CLASSES, **jaxinit.defaults.linear(8 * WIDTH), name="fc")(x.mean((1, 2)))


def conv(features: int, width: int, stride: int, name: str) -> nn.Conv:
    init = jaxinit.kaiming_normal(mode="fan_out", nonlinearity="relu")
    cells = width // 2
    return nn.Conv(features, (width, width), strides=stride, padding=cells, use_bias=False, kernel_init=init, name=name)


def norm(name: str) -> nn.BatchNorm:
    return nn.BatchNorm(use_running_average=True, momentum=0.9, epsilon=1e-5, name=name)
