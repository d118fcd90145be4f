"""Each ported example beside the torch module that it ports: equal outputs from equal weights, and weights drawn alike.

The torch modules are initialised by the lines that the example quotes.
"""

import math
import runpy
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from flax import nnx
from scipy import stats
from torch import nn

import jaxinit
from tests.jaxinit.draws import FALSE_ALARM

EXAMPLES = Path(__file__).parent.parent / "examples"


def example(name: str) -> dict[str, Any]:
    return runpy.run_path(str(EXAMPLES / f"{name}.py"))


class TorchLeNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 6, 5)
        self.pool = nn.MaxPool2d(2, 2)
        self.conv2 = nn.Conv2d(6, 16, 5)
        self.fc1 = nn.Linear(16 * 5 * 5, 120)
        self.fc2 = nn.Linear(120, 84)
        self.fc3 = nn.Linear(84, 10)
        nn.init.kaiming_normal_(self.fc1.weight, mode="fan_in", nonlinearity="relu")
        nn.init.kaiming_normal_(self.fc2.weight, mode="fan_in", nonlinearity="relu")
        nn.init.xavier_normal_(self.fc3.weight)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.pool(torch.relu(self.conv1(x)))
        x = self.pool(torch.relu(self.conv2(x)))
        x = x.view(-1, 16 * 5 * 5)
        x = torch.relu(self.fc2(torch.relu(self.fc1(x))))
        return torch.sigmoid(self.fc3(x))


class TorchReader(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, padding=1)
        self.lstm = nn.LSTM(8 * 16, 32, batch_first=True)
        self.fc = nn.Linear(32, 10)
        self.apply(self.init_weights)

    @staticmethod
    def init_weights(m: nn.Module) -> None:
        if isinstance(m, nn.Linear):
            nn.init.kaiming_normal_(m.weight, mode="fan_in", nonlinearity="relu")
            if m.bias is not None:
                nn.init.constant_(m.bias, 0)
        elif isinstance(m, nn.Conv2d):
            nn.init.xavier_uniform_(m.weight)
        elif isinstance(m, nn.LSTM):
            for name, param in m.named_parameters():
                if "weight" in name:
                    nn.init.orthogonal_(param)
                elif "bias" in name:
                    nn.init.constant_(param, 0)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        rows = torch.relu(self.conv(x)).permute(0, 2, 3, 1).reshape(len(x), 16, 16 * 8)
        result: torch.Tensor = self.fc(self.lstm(rows)[0][:, -1])
        return result


class TorchDoubleConv(nn.Module):
    def __init__(self, in_channels: int, out_channels: int, mid_channels: int) -> None:
        super().__init__()
        self.double_conv = nn.Sequential(
            nn.Conv2d(in_channels, mid_channels, kernel_size=3, padding=1, bias=False),
            nn.BatchNorm2d(mid_channels),
            nn.ReLU(),
            nn.Conv2d(mid_channels, out_channels, kernel_size=3, padding=1, bias=False),
            nn.BatchNorm2d(out_channels),
            nn.ReLU(),
        )
        for m in self.modules():
            if isinstance(m, nn.Conv2d):
                n = m.kernel_size[0] * m.kernel_size[1] * m.out_channels
                m.weight.data.normal_(0, math.sqrt(2.0 / n))
            elif isinstance(m, nn.BatchNorm2d):
                m.weight.data.fill_(1)
                m.bias.data.zero_()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = self.double_conv(x)
        return result


class TorchSpatialAttention(nn.Module):
    def __init__(self, features: int, vertices: int, timesteps: int) -> None:
        super().__init__()
        self.W1 = nn.Parameter(torch.empty(timesteps))
        self.W2 = nn.Parameter(torch.empty(features, timesteps))
        self.W3 = nn.Parameter(torch.empty(features))
        self.bs = nn.Parameter(torch.empty(1, vertices, vertices))
        self.Vs = nn.Parameter(torch.empty(vertices, vertices))
        for p in self.parameters():
            if p.dim() > 1:
                nn.init.xavier_uniform_(p)
            else:
                nn.init.uniform_(p)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        left = torch.matmul(torch.matmul(x, self.W1), self.W2)
        right = torch.matmul(self.W3, x).transpose(-1, -2)
        scores = torch.matmul(self.Vs, torch.sigmoid(torch.matmul(left, right) + self.bs))
        return torch.softmax(scores, dim=1)


class TorchBlock(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = x + self.bn2(self.conv2(torch.relu(self.bn1(self.conv1(x)))))
        return result


def torch_blocks(depth: int) -> nn.Module:
    blocks = nn.Sequential(*(TorchBlock(16) for _ in range(depth)))
    for m in blocks.modules():
        if isinstance(m, nn.Conv2d):
            nn.init.kaiming_normal_(m.weight, mode="fan_out", nonlinearity="relu")
        elif isinstance(m, nn.BatchNorm2d):
            nn.init.constant_(m.weight, 1)
            nn.init.constant_(m.bias, 0)
    for m in blocks.modules():
        if isinstance(m, TorchBlock):
            nn.init.constant_(m.bn2.weight, 0)
    return blocks


class TorchSelfAttention(nn.Module):
    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)
        nn.init.xavier_uniform_(self.qkv.weight, gain=1 / math.sqrt(dim))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        batch, length, dim = x.shape
        query, key, value = self.qkv(x).view(batch, length, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        mixed = nn.functional.scaled_dot_product_attention(query, key, value)
        result: torch.Tensor = self.proj(mixed.transpose(1, 2).reshape(batch, length, dim))
        return result


class Twins(NamedTuple):
    torch: Callable[[], nn.Module]
    flax: Callable[[nnx.Rngs], Any]
    input: tuple[int, ...]
    """The shape of torch's input, an image if it has four axes and three or more channels."""


def double_conv(rngs: nnx.Rngs) -> Any:
    return example("double_conv")["DoubleConv"](3, 32, 16, rngs)


TWINS = {
    "lenet": Twins(TorchLeNet, example("lenet")["build"], (2, 3, 32, 32)),
    "init_weights": Twins(TorchReader, example("init_weights")["build"], (2, 3, 16, 16)),
    "double_conv": Twins(lambda: TorchDoubleConv(3, 32, 16), double_conv, (2, 3, 8, 8)),
    "spatial_attention": Twins(
        lambda: TorchSpatialAttention(1, 307, 12), example("spatial_attention")["build"], (2, 307, 1, 12)
    ),
    "residual_zero": Twins(
        lambda: torch_blocks(3), lambda rngs: example("residual_zero")["build"](3, rngs), (2, 16, 8, 8)
    ),
    "qkv": Twins(lambda: TorchSelfAttention(64, 4), lambda rngs: example("qkv")["build"](64, 4, rngs), (2, 32, 64)),
}
each_pair = pytest.mark.parametrize("name", TWINS)


pytestmark = pytest.mark.usefixtures("torch_seed")


def is_image(shape: tuple[int, ...]) -> bool:
    return len(shape) == 4 and shape[-2] == shape[-1]


def channels_last(array: np.ndarray) -> np.ndarray:
    return array.transpose(0, 2, 3, 1) if is_image(array.shape) else array


@each_pair
def test_equal_weights_give_equal_outputs(name: str, seed: int) -> None:
    theirs, ours = TWINS[name].torch(), TWINS[name].flax(nnx.Rngs(seed))
    for parameter in theirs.parameters():  # none stays a constant that could hide an exchange
        nn.init.normal_(parameter, std=parameter.std(correction=0).item() or 0.5)
    jaxinit.nnx.load(ours, theirs.state_dict())
    ours.eval()
    x = torch.randn(TWINS[name].input)
    with torch.no_grad():
        wanted = channels_last(theirs.eval()(x).numpy())
    got = ours(jnp.asarray(channels_last(x.numpy())))
    np.testing.assert_allclose(np.asarray(got), wanted, rtol=1e-4, atol=1e-5)


@each_pair
def test_weights_are_drawn_alike(name: str, seed: int) -> None:
    ours, loaded = (TWINS[name].flax(nnx.Rngs(seed)) for _ in range(2))
    jaxinit.nnx.load(loaded, TWINS[name].torch().state_dict())
    pairs = zip(
        *(jax.tree.leaves_with_path(nnx.state(model, nnx.Param, ...)[0]) for model in (ours, loaded)), strict=True
    )
    for (path, one), (_, other) in pairs:
        drawn, wanted = np.ravel(one), np.ravel(other)
        assert (drawn.std() == 0) == (wanted.std() == 0) or drawn.size < 2, path
        assert drawn.size < 2 or stats.ks_2samp(drawn, wanted).pvalue > FALSE_ALARM, path
