"""ResNet-50 of any width with a decoder of transposed convolutions, in torch and in NNX."""

from collections.abc import Iterator
from typing import Any

import torch
from flax import nnx

from .pair import ModelPair

BLOCKS = (3, 4, 6, 3)
EXPANSION = 4
CLASSES = 64


def pair(width: int, size: int = 64) -> ModelPair:
    """Return the pair. The depth is that of ResNet-50, whose width is 64."""
    return ModelPair(
        "ResNet-50 with decoder",
        f"width {width}",
        lambda: TorchResNet(width),
        lambda rngs: FlaxResNet(width, rngs),
        ((2, 3, size, size),),
        images=True,
        is_model=True,
    )


def _stages(width: int) -> Iterator[tuple[int, int, int]]:
    """Yield the input channels, inner channels and stride of each block."""
    channels = width
    for stage, blocks in enumerate(BLOCKS):
        for block in range(blocks):
            inner = width * 2**stage
            yield channels, inner, 2 if stage and not block else 1
            channels = EXPANSION * inner


class TorchBlock(torch.nn.Module):
    def __init__(self, channels: int, inner: int, stride: int) -> None:
        super().__init__()
        outer = EXPANSION * inner
        self.conv1 = torch.nn.Conv2d(channels, inner, 1, bias=False)
        self.bn1 = torch.nn.BatchNorm2d(inner)
        self.conv2 = torch.nn.Conv2d(inner, inner, 3, stride, 1, bias=False)
        self.bn2 = torch.nn.BatchNorm2d(inner)
        self.conv3 = torch.nn.Conv2d(inner, outer, 1, bias=False)
        self.bn3 = torch.nn.BatchNorm2d(outer)
        self.is_short = channels == outer
        if not self.is_short:
            self.conv_skip = torch.nn.Conv2d(channels, outer, 1, stride, bias=False)
            self.bn_skip = torch.nn.BatchNorm2d(outer)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.bn1(self.conv1(x)).relu()
        y = self.bn2(self.conv2(y)).relu()
        y = self.bn3(self.conv3(y))
        skipped: torch.Tensor = x if self.is_short else self.bn_skip(self.conv_skip(x))
        return torch.relu(skipped + y)


class FlaxBlock(nnx.Module):
    def __init__(self, channels: int, inner: int, stride: int, rngs: nnx.Rngs) -> None:
        outer = EXPANSION * inner
        self.conv1 = nnx.Conv(channels, inner, (1, 1), use_bias=False, rngs=rngs)
        self.bn1 = nnx.BatchNorm(inner, rngs=rngs)
        self.conv2 = nnx.Conv(inner, inner, (3, 3), stride, padding=1, use_bias=False, rngs=rngs)
        self.bn2 = nnx.BatchNorm(inner, rngs=rngs)
        self.conv3 = nnx.Conv(inner, outer, (1, 1), use_bias=False, rngs=rngs)
        self.bn3 = nnx.BatchNorm(outer, rngs=rngs)
        self.is_short = channels == outer
        if not self.is_short:
            self.conv_skip = nnx.Conv(channels, outer, (1, 1), stride, padding=0, use_bias=False, rngs=rngs)
            self.bn_skip = nnx.BatchNorm(outer, rngs=rngs)

    def __call__(self, x: Any) -> Any:
        y = nnx.relu(self.bn1(self.conv1(x)))
        y = nnx.relu(self.bn2(self.conv2(y)))
        y = self.bn3(self.conv3(y))
        skipped = x if self.is_short else self.bn_skip(self.conv_skip(x))
        return nnx.relu(skipped + y)


class TorchResNet(torch.nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1 = torch.nn.Conv2d(3, width, 7, 2, 3, bias=False)
        self.bn1 = torch.nn.BatchNorm2d(width)
        self.blocks = torch.nn.ModuleList(TorchBlock(*block) for block in _stages(width))
        ins = (EXPANSION * 8 * width, 4 * width)
        self.ups = torch.nn.ModuleList(torch.nn.ConvTranspose2d(n, 4 * width, 4, 2, 1) for n in ins)
        self.up_bns = torch.nn.ModuleList(torch.nn.BatchNorm2d(4 * width) for _ in ins)
        self.head = torch.nn.Conv2d(4 * width, CLASSES, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.nn.functional.max_pool2d(self.bn1(self.conv1(x)).relu(), 3, 2, 1)
        for block in self.blocks:
            x = block(x)
        for up, bn in zip(self.ups, self.up_bns, strict=True):
            x = bn(up(x)).relu()
        heat: torch.Tensor = self.head(x)
        return heat


class FlaxResNet(nnx.Module):
    def __init__(self, width: int, rngs: nnx.Rngs) -> None:
        self.conv1 = nnx.Conv(3, width, (7, 7), 2, padding=3, use_bias=False, rngs=rngs)
        self.bn1 = nnx.BatchNorm(width, rngs=rngs)
        self.blocks = nnx.List([FlaxBlock(*block, rngs) for block in _stages(width)])
        ins = (EXPANSION * 8 * width, 4 * width)
        # A kernel of 4 reaches out by 3, and the padding of 1 in torch removes 1.
        self.ups = nnx.List(
            [nnx.ConvTranspose(n, 4 * width, (4, 4), 2, padding=((2, 2), (2, 2)), rngs=rngs) for n in ins]
        )
        self.up_bns = nnx.List([nnx.BatchNorm(4 * width, rngs=rngs) for _ in ins])
        self.head = nnx.Conv(4 * width, CLASSES, (1, 1), rngs=rngs)

    def __call__(self, x: Any) -> Any:
        x = nnx.max_pool(nnx.relu(self.bn1(self.conv1(x))), (3, 3), (2, 2), ((1, 1), (1, 1)))
        for block in self.blocks:
            x = block(x)
        for up, bn in zip(self.ups, self.up_bns, strict=True):
            x = nnx.relu(bn(up(x)))
        return self.head(x)
