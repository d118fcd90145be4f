"""The tables of docs/reference/models/modules.md are whole: derived from the table of modules and from torch."""

import runpy
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import flax.linen
import numpy as np
import pytest
import torch
from flax import nnx

from jaxinit._models import torch_modules

DOCS = Path(__file__).parent.parent / "docs"
SCRIPT = runpy.run_path(str(DOCS / "scripts" / "module_table.py"))


def test_every_nnx_layer_has_an_example() -> None:
    shown = {call.removeprefix("nnx.").partition("(")[0] for call in SCRIPT["EXAMPLES"]}
    assert shown == {row.nnx for row in torch_modules.TABLE if row.nnx}


def test_every_name_in_a_row_exists() -> None:
    for row in torch_modules.TABLE:
        assert all(hasattr(torch.nn, name) for name in SCRIPT["names"](row.torch)), row
        assert not row.nnx or hasattr(nnx, row.nnx)
        assert not row.linen or hasattr(flax.linen, row.linen)


def test_every_torch_module_has_a_row_or_a_reason() -> None:
    left_out = SCRIPT["left_out"]()  # a KeyError here names the one without
    covered = {name for row in torch_modules.TABLE for name in SCRIPT["names"](row.torch)}
    assert covered.isdisjoint(left_out)
    assert covered | set(left_out) == set(SCRIPT["modules_of_torch"]())
    assert set(SCRIPT["WITHOUT_A_ROW"]) <= set(left_out)


def test_the_modules_that_draw_are_found() -> None:
    found = SCRIPT["modules_of_torch"]()
    assert {"Linear", "MultiheadAttention", "Bilinear", "Transformer", "PReLU"} <= set(found)
    assert "ReLU" not in found
    assert "TransformerEncoderLayer" not in found


def test_an_example_shows_numbers() -> None:
    lines = list(SCRIPT["example"]("nnx.GRUCell(16, 64, rngs=rngs)"))
    bias = (
        "| `dense_i.bias` | (192,) | `bias_ih` + `bias_hh`, block 1 to 2 of 3. `bias_ih`, block 3 of 3 "
        "| 2 of 3: triangular, ±0.25. 1 of 3: uniform, ±0.125 | 0 |"
    )
    assert bias in lines
    assert "| `dense_h.kernel` | (64, 192) | `weight_hh` (192, 64) | uniform, ±0.125 | orthogonal |" in lines


def draws(kind: str, shape: tuple[int, ...], rng: np.random.Generator) -> Any:
    match kind:
        case "uniform, std 0.577":
            return rng.uniform(-1, 1, shape)
        case "normal, std 2":
            return 2 * rng.standard_normal(shape)
        case "orthogonal":
            return np.linalg.qr(rng.standard_normal(shape))[0]
    return np.full(shape, 0.25)


@pytest.mark.parametrize("kind", ["uniform, std 0.577", "normal, std 2", "orthogonal", "0.25"])
def test_distributions_are_recognized(kind: str, rng: np.random.Generator) -> None:
    text, _, std = SCRIPT["recognized"](draws(kind, (16, 128, 128), rng)).partition("std ")
    assert text == kind.partition("std ")[0]
    assert not std or abs(float(std) / float(kind.partition("std ")[2]) - 1) < 0.02


def test_an_unknown_distribution_is_no_guess(rng: np.random.Generator) -> None:
    with pytest.raises(LookupError, match="no distribution fits"):
        SCRIPT["recognized"](rng.laplace(size=(16, 128, 128)))


def without_the_measured_column(lines: Iterable[str]) -> list[str]:
    """Return the lines of the tables of examples without what Flax's own defaults draw, which takes long to measure."""
    text = "\n".join(lines).strip()
    return [line.rpartition("| ")[0] if line.count("| ") > 4 else line for line in text.splitlines()]


def test_the_tables_of_the_page_are_those_of_the_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """To write them anew: python docs/scripts/module_table.py."""
    write = SCRIPT["write"]
    monkeypatch.setitem(write.__globals__, "measured", lambda call: defaultdict(str))
    write(tmp_path)
    for name in ("overview", "left_out", "examples"):
        written, fresh = ((folder / f"{name}.md").read_text() for folder in (DOCS / "tables", tmp_path))
        assert without_the_measured_column(fresh.splitlines()) == without_the_measured_column(written.splitlines())
