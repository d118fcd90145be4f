"""The table of docs/background/recorded_models.md: models that others wrote, and how much of each a recipe gives.

Run: python -m tests.other_models.table
"""

import re
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np
import torch

import jaxinit
from jaxinit.distributions import Normal, TruncatedNormal, Uniform
from tests.other_models.models import MODELS, Build

PAGE = Path(__file__).parents[2] / "docs" / "background" / "recorded_models.md"
COLUMNS = (
    "model",
    "one distribution",
    "computed from draws",
    "constant",
    "refused",
    "equal to the bit",
    "difference, std",
)
PACKAGES = ("torch", "transformers", "timm", "torchvision")
LARGEST = {"timm": 2.0**-20, "transformers Mamba": 2.0**-18}
"""The largest difference to torch's numbers that go through `erfinv` or `exp`, in standard deviations of the array.

timm's truncated normals reach 2.3 standard deviations, Mamba's time steps 6. Two ulps there are 2**-21 and 2**-20.
"""


class Row(NamedTuple):
    """What a recipe of a model gives."""

    name: str
    counts: tuple[int, int, int, int]
    """Parameters and buffers: of one distribution, computed from draws, constant; and all names of torch's state."""
    equal: int
    """How many arrays from a torch seed are torch's to the bit."""
    largest: float
    """The largest difference to torch's, in standard deviations of the array."""

    def __str__(self) -> str:
        one, computed, constant, stored = self.counts
        cells = (self.name, one, computed, constant, 0, f"{self.equal} of {stored}", f"{self.largest:.1g}")
        return f"| {' | '.join(map(str, cells))} |"


def measured(name: str, build: Build, recipe: jaxinit.Recipe, seed: int) -> Row:
    """Compare what a recipe gives for a torch seed with what torch builds."""
    torch.manual_seed(seed)
    theirs = build().state_dict()
    generator = jaxinit.TorchGenerator(seed)
    with jax.enable_x64(True):
        ours = recipe.sample(generator)
    assert (generator.get_state() == torch.get_rng_state().numpy()).all(), "torch drew more or less"
    assert set(ours) == set(theirs), sorted(set(ours) ^ set(theirs))
    equal, largest = 0, 0.0
    for key, tensor in theirs.items():
        assert str(ours[key].dtype) == str(tensor.dtype).removeprefix("torch.")
        expected, array = tensor.double().numpy(), np.asarray(ours[key]).astype(np.float64)
        equal += bool((array == expected).all())
        largest = max(largest, float(abs(array - expected).max(initial=0.0)) / (float(expected.std()) or 1.0))
    return Row(name, (*_kinds(recipe), len(theirs)), equal, largest)


def _kinds(recipe: jaxinit.Recipe) -> tuple[int, int, int]:
    one = sum(isinstance(p.distribution, Uniform | Normal | TruncatedNormal) for p in recipe.parameters)
    draws = ("uniform(", "normal(", "trunc_normal(", "orthogonal(", "sparse(")
    drawn = sum(any(not s.is_overwritten and s.call.startswith(draws) for s in p.steps) for p in recipe.parameters)
    return one, drawn - one, len(recipe.parameters) - drawn


def rows_of_docs() -> Iterator[Row]:
    """Yield the rows of the table in the documentation."""
    for line in PAGE.read_text().splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) == len(COLUMNS) and cells[0] in MODELS:
            equal, stored = map(int, cells[5].split(" of "))
            yield Row(cells[0], (int(cells[1]), int(cells[2]), int(cells[3]), stored), equal, float(cells[6]))


def write(rows: list[Row]) -> None:
    """Replace the table in the documentation, and the versions below it."""
    table = "\n".join([f"| {' | '.join(COLUMNS)} |", f"|{'---|' * len(COLUMNS)}", *map(str, rows)])
    versions = ", ".join(f"{name} {metadata.version(name).partition('+')[0]}" for name in PACKAGES)
    page = re.sub(r"\| model \| one distribution.*?(?=\n\n)", lambda _: table, PAGE.read_text(), flags=re.S)
    PAGE.write_text(re.sub(r"(?<=Versions: ).*(?=\.\n)", versions, page))


def main() -> None:
    rows = []
    for name, build in MODELS.items():
        rows.append(measured(name, build, jaxinit.record(build), seed=0))
        print(rows[-1], flush=True)
    write(rows)


if __name__ == "__main__":
    main()
