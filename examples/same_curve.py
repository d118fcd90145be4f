"""One small CNN, trained in torch and in Flax NNX from one seed: the same weights, so the same losses.

    python examples/same_curve.py [--seed SEED] [--plot FILE.svg]

Both nets read the 8 x 8 digits that scikit-learn ships, in the same batches, by SGD. Flax's starts once from
torch's seed, by jaxinit, and once from Flax's own defaults. What is left between the first two is rounding, and it
stays so for two reasons. The activation is smooth: at relu's kink the last bit decides whether a gradient passes, and
of 30 seeds two then came to lie 1e-4 and 8e-3 apart. The rate is small, with momentum: plain SGD at 0.3 lets the loss
spike, which multiplies rounding, and two or three seeds of 1000 then passed 1e-4.
"""

import argparse
from collections.abc import Iterable

import jax
import matplotlib
import numpy as np
import optax
import torch
from flax import nnx
from matplotlib.figure import Figure
from sklearn.datasets import load_digits
from torch import nn
from torch.nn import functional

import jaxinit

STEPS, BATCH, RATE, MOMENTUM = 200, 64, 0.03, 0.9
APART = 1e-4
BLUE, ORANGE = "#12324a", "#d9822b"
# The same file for the same curves, every step in it, its text as text.
STYLE = {"svg.hashsalt": "jaxinit", "svg.fonttype": "none", "font.sans-serif": ["DejaVu Sans"], "path.simplify": False}
CREDIT = {"Creator": "examples/same_curve.py", "Date": None}
Batches = Iterable[tuple[np.ndarray, np.ndarray]]


class TorchNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 8, 3, stride=2, padding=1)
        self.conv2 = nn.Conv2d(8, 16, 3, stride=2, padding=1)
        self.head = nn.Linear(16 * 2 * 2, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = functional.silu(self.conv2(functional.silu(self.conv1(x))))
        return self.head(x.flatten(1))


class FlaxNet(nnx.Module):
    def __init__(self, rngs: nnx.Rngs):
        # "SAME" would pad an even image on one side only, where strides are 2.
        self.conv1 = nnx.Conv(1, 8, (3, 3), strides=2, padding=1, rngs=rngs)
        self.conv2 = nnx.Conv(8, 16, (3, 3), strides=2, padding=1, rngs=rngs)
        self.head = nnx.Linear(16 * 2 * 2, 10, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        x = nnx.silu(self.conv2(nnx.silu(self.conv1(x))))
        x = x.transpose(0, 3, 1, 2)  # torch flattens channels first, and so the head's weights lie
        return self.head(x.reshape(len(x), -1))


def train_torch(model: TorchNet, batches: Batches) -> np.ndarray:
    sgd = torch.optim.SGD(model.parameters(), lr=RATE, momentum=MOMENTUM)
    losses = []
    for images, labels in batches:
        loss = functional.cross_entropy(model(torch.from_numpy(images)), torch.from_numpy(labels))
        sgd.zero_grad()
        loss.backward()
        sgd.step()
        losses.append(loss.item())
    return np.array(losses)


def train_flax(model: FlaxNet, batches: Batches) -> np.ndarray:
    sgd = nnx.Optimizer(model, optax.sgd(RATE, MOMENTUM), wrt=nnx.Param)
    return np.array([float(step(model, sgd, images.transpose(0, 2, 3, 1), labels)) for images, labels in batches])


@nnx.jit
def step(model: FlaxNet, sgd: nnx.Optimizer, images: jax.Array, labels: jax.Array) -> jax.Array:
    def loss_of(model: FlaxNet) -> jax.Array:
        return optax.softmax_cross_entropy_with_integer_labels(model(images), labels).mean()

    loss, gradient = nnx.value_and_grad(loss_of)(model)
    sgd.update(model, gradient)
    return loss


def digits(seed: int) -> Batches:
    """Images (batch, 1, 8, 8) between 0 and 1, as torch takes them, and their labels."""
    data = load_digits()
    images, labels = np.float32(data.images[:, None] / 16), data.target.astype(np.int64)
    chosen = np.random.default_rng(seed).integers(len(images), size=(STEPS, BATCH))
    return [(images[batch], labels[batch]) for batch in chosen]


def curves(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The losses of torch, of Flax from torch's seed, and of Flax from its own defaults."""
    batches = digits(seed)
    torch.manual_seed(seed)
    theirs = train_torch(TorchNet(), batches)
    same = train_flax(jaxinit.nnx.init(FlaxNet, jaxinit.TorchGenerator(seed)), batches)
    own = train_flax(FlaxNet(nnx.Rngs(seed)), batches)
    return theirs, same, own


def plot(seed: int, theirs: np.ndarray, same: np.ndarray, own: np.ndarray) -> Figure:
    """The three curves, and below them how far two of them ever were from torch's."""
    apart = abs(theirs - same).max()
    figure = Figure(figsize=(7.6, 5.2), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 2))
    above.plot(theirs, color="#8ec1e8", lw=6, label="torch", gid="torch")
    above.plot(same, color=BLUE, lw=1.3, label=f"Flax, jaxinit.TorchGenerator({seed})", gid="same", zorder=3)
    above.plot(own, color=ORANGE, lw=1.3, label="Flax, its own defaults", gid="own")
    above.set_title(
        f"torch and Flax NNX from seed {seed}: losses at most {apart:.2g} apart in {STEPS} steps", fontsize=11
    )
    above.set(ylabel="loss (cross-entropy)", ylim=(0, None))
    above.legend(frameon=False)
    for curve, colour, start in ((own, ORANGE, "its own defaults"), (same, BLUE, "jaxinit.TorchGenerator")):
        farthest = np.maximum.accumulate(abs(theirs - curve))
        below.semilogy(np.ma.masked_equal(farthest, 0), color=colour, lw=1.3)
        label = f"{start}: {farthest[-1]:.2g}"
        below.annotate(label, (STEPS, farthest[-1]), (0, -15), textcoords="offset points", ha="right", color=colour)
    below.set(
        xlabel=f"step of SGD (rate {RATE}, momentum {MOMENTUM}, {BATCH} images)",
        ylabel="largest difference\nfrom torch's so far",
    )
    below.set(xlim=(0, STEPS), ylim=(1e-8, 10))
    for axes in (above, below):
        axes.spines[["top", "right"]].set_visible(False)
    return figure


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--plot", metavar="FILE.svg", help="write the picture too")
    arguments = parser.parse_args()
    jax.config.update("jax_platforms", "cpu")  # as torch. A GPU's products are rounded to fewer bits
    torch.set_num_threads(1)  # so small a net is slower on more

    theirs, same, own = curves(arguments.seed)
    apart = abs(theirs - same).max()
    print(f"torch's loss goes from {theirs[0]:.3f} to {theirs[-1]:.3f} in {STEPS} steps; largest difference from it:")
    print(f"Flax, jaxinit.TorchGenerator({arguments.seed}): {apart:.2g}")
    print(f"Flax, its own defaults: {abs(theirs - own).max():.2g}")
    assert apart < APART
    if arguments.plot:
        with matplotlib.rc_context(STYLE):
            plot(arguments.seed, theirs, same, own).savefig(arguments.plot, format="svg", metadata=CREDIT)


if __name__ == "__main__":
    main()
