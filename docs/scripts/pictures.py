"""Draw the pictures of docs/background/same_name.md and docs/guides/choose_an_initializer.md."""

import math
import sys
from collections.abc import Callable
from pathlib import Path

import jax
import jax.numpy as jnp
import matplotlib
import numpy as np
import torch
from flax import nnx
from matplotlib.figure import Figure

import jaxinit

TORCH, JAXINIT, FLAX = "#12324a", "#d9822b", "#8a8f98"
COLOURS = {"torch": TORCH, "jaxinit": JAXINIT, "Flax": FLAX}
STYLE = {"svg.hashsalt": "jaxinit", "font.family": "DejaVu Sans", "font.size": 9}
KEY = jax.random.key(0)
LAYERS, WIDTH = 50, 512


def draws() -> dict[str, tuple[torch.Tensor, jax.Array, jax.Array]]:
    """Return what a call draws in torch, in jaxinit and in Flax."""
    flax = jax.nn.initializers
    torch.manual_seed(0)
    dense = nnx.Linear(64, 4096, rngs=nnx.Rngs(0)).kernel[...]
    return {
        "kaiming_normal()": (
            torch.nn.init.kaiming_normal_(torch.empty(WIDTH, WIDTH)),
            jaxinit.kaiming_normal()(KEY, (WIDTH, WIDTH)),
            flax.he_normal()(KEY, (WIDTH, WIDTH)),
        ),
        "trunc_normal(std=0.02)": (
            torch.nn.init.trunc_normal_(torch.empty(WIDTH, WIDTH), std=0.02),
            jaxinit.trunc_normal(std=0.02)(KEY, (WIDTH, WIDTH)),
            flax.truncated_normal(0.02)(KEY, (WIDTH, WIDTH)),
        ),
        "weight of a new Linear": (
            torch.nn.Linear(64, 4096).weight.detach(),
            jaxinit.kaiming_uniform(a=math.sqrt(5))(KEY, (64, 4096)),
            dense,
        ),
    }


def same_name() -> Figure:
    """Draw one histogram for each call and library."""
    figure = Figure(figsize=(7.2, 2.6), layout="constrained")
    for axes, (call, arrays) in zip(figure.subplots(1, 3), draws().items(), strict=True):
        for (library, colour), array in zip(COLOURS.items(), arrays, strict=True):
            width = 4 if library == "torch" else 1.5
            axes.hist(np.ravel(array), 120, density=True, histtype="step", color=colour, lw=width, label=library)
        axes.set(title=call, yticks=[])
        axes.spines[["top", "right", "left"]].set_visible(False)
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=3, frameon=False)
    return figure


def signal(init: Callable[..., jax.Array], activation: Callable[[jax.Array], jax.Array]) -> list[float]:
    """Return the root mean square of the activations after each layer."""
    x, sizes = jax.random.normal(KEY, (64, WIDTH)), []
    for layer in range(LAYERS):
        x = activation(x @ init(jax.random.fold_in(KEY, layer), (WIDTH, WIDTH)))
        sizes.append(float(jnp.sqrt(jnp.mean(x**2))))
    return sizes


def gain(activation: Callable[[jax.Array], jax.Array]) -> float:
    """Return the gain that keeps the mean square of a standard normal."""
    z = jax.scipy.special.ndtri(jnp.linspace(0, 1, 100_001)[1:-1])
    return float(1 / jnp.sqrt(jnp.mean(activation(z) ** 2)))


def depth() -> Figure:
    """Draw the size of the signal by depth for some initializers and activations."""
    figure = Figure(figsize=(7.2, 2.8), layout="constrained")
    activations = {"ReLU": jax.nn.relu, "GELU": jax.nn.gelu, "tanh": jnp.tanh}
    for axes, (name, activation) in zip(figure.subplots(1, 3, sharey=True), activations.items(), strict=True):
        own = gain(activation) * jaxinit.kaiming_normal(nonlinearity="linear")
        curves = {
            "gain of the activation": (own, TORCH, 3.5),
            "gain of ReLU": (jaxinit.kaiming_normal(nonlinearity="relu"), JAXINIT, 1.5),
            "Flax's default": (jax.nn.initializers.lecun_normal(), FLAX, 1.5),
        }
        for label, (init, colour, width) in curves.items():
            axes.semilogy(range(1, LAYERS + 1), signal(init, activation), color=colour, lw=width, label=label)
        axes.set(title=name, xlabel="layer", ylim=(1e-9, 1e2))
        axes.spines[["top", "right"]].set_visible(False)
    figure.axes[0].set_ylabel("root mean square")
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=3, frameon=False)
    return figure


def draw_all(folder: Path) -> None:
    """Write one SVG for each picture."""
    folder.mkdir(parents=True, exist_ok=True)
    with matplotlib.rc_context(STYLE):
        for picture in (same_name, depth):
            picture().savefig(folder / f"{picture.__name__}.svg", metadata={"Date": None}, facecolor="white")


if __name__ == "__main__":
    draw_all(Path(sys.argv[1]))
