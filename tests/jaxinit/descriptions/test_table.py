"""What a description and a comparison print, exactly."""

import io
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest
import rich.console
from flax import nnx

import jaxinit
from jaxinit._descriptions import fit

EVEN = np.multiply.outer([-1, 1], np.linspace(0.5 / 600, 0.5, 600)).astype(np.float32).reshape(4, 300)
"""Numbers as torch draws them from uniform(-0.5, 0.5), without chance."""


@pytest.fixture(autouse=True)
def _errors_of_users(_rare_errors: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fit, "FALSE_ALARM", 1e-6)
    monkeypatch.setattr(fit, "MISS", 1e-6)


def layer() -> Any:
    model: Any = nnx.Linear(4, 300, rngs=nnx.Rngs(0))
    model.kernel[...], model.bias[...] = jnp.asarray(EVEN), jnp.zeros(300)
    return model


DESCRIBED = """\
parameter  shape     dtype    mean  std    histogram     drawn from                            torch's default
kernel     (4, 300)  float32  0     0.289  ████████████  kaiming_uniform(a=sqrt(5)), fan_in 4  yes
bias       (300,)    float32  0     0                    zeros()                               no: uniform(-0.5, 0.5)
A `no` is wrong with probability 1e-06 at most, in all rows together.
A scale that is off by 1.9% in kernel or by 7.1% in bias is found with the same certainty.
2 arrays, 0 of which look wrong; 1,500 entries; 1 of 2 not torch's default"""

COMPARED = """\
parameter  in B    shape     dtype              difference  std ratio  distance  verdict
kernel     weight  (4, 300)  float32            0                                equal
bias               (300,)    float32 / float64  0.5                    1         differs
only in B: other
`differs` is wrong with probability 1e-06 at most, in all rows together.
A distance of 0.65 in bias is found with the same certainty.
2 parameters: 1 equal to the bit, 1 from other distributions; 0 missing in B, 1 only in B"""


def test_a_description_prints_one_line_for_each_array() -> None:
    found = jaxinit.describe(layer())
    assert str(found) == repr(found) == DESCRIBED


def test_a_comparison_prints_one_line_for_each_parameter() -> None:
    found = jaxinit.compare(layer(), {"weight": EVEN.T, "bias": np.full(300, 0.5), "other": np.ones(2)})
    assert str(found) == repr(found) == COMPARED


def test_what_was_left_out_and_what_looks_wrong_is_told_below_the_table() -> None:
    found = jaxinit.describe({"a": np.zeros((2, 2**20), np.float32), "b": np.array([np.nan, 1.0])})
    assert str(found).splitlines()[1:] == [
        "a          (2, 1048576)  float32  0     0               zeros()",
        "b          (2,)          float64  1     0",
        "a looks wrong: constant",
        "b looks wrong: 1 NaN",
        "a: 1,048,576 of 2,097,152 entries are used",
        "2 arrays, 2 of which look wrong; 2,097,154 entries",
    ]


def test_rich_prints_the_same_and_colours_the_marks() -> None:
    out = io.StringIO()
    rich.console.Console(file=out, width=200).print(jaxinit.describe(layer()))
    assert [line.split() for line in out.getvalue().splitlines()] == [line.split() for line in DESCRIBED.splitlines()]
    out = io.StringIO()
    rich.console.Console(file=out, width=200, force_terminal=True, color_system="standard").print(
        jaxinit.describe(layer())
    )
    assert [line.startswith("\x1b[31m") for line in out.getvalue().splitlines()[1:3]] == [False, True]


def test_a_narrow_console_shows_the_cells_below_each_name() -> None:
    out = io.StringIO()
    rich.console.Console(file=out, width=60).print(jaxinit.describe(layer()))
    assert [line.rstrip() for line in out.getvalue().splitlines()[:6]] == [
        "kernel",
        "  shape (4, 300); dtype float32; mean 0; std 0.289;",
        "  histogram ████████████; drawn from",
        "  kaiming_uniform(a=sqrt(5)), fan_in 4; torch's default yes",
        "bias",
        "  shape (300,); dtype float32; mean 0; std 0; drawn from",
    ]
    out = io.StringIO()
    rich.console.Console(file=out, width=20).print(jaxinit.describe({"encoder." * 9: np.zeros(2)}))
    assert "".join(out.getvalue().split()).startswith("encoder." * 9)


def test_a_notebook_shows_a_table() -> None:
    html = jaxinit.describe({"<b>&\n": np.zeros(2, np.float32)})._repr_html_()
    assert "'>&lt;b&gt;&amp;\\n</td>" in html
    assert html.count("<tr>") == 2
    assert "#c0392b" not in html
    assert jaxinit.describe(layer())._repr_html_().count("<tr style='color:#c0392b'>") == 1


def test_names_cannot_steer_a_terminal() -> None:
    text = str(jaxinit.describe({"a\x1b[2J\nb": np.zeros(2)}))
    assert text.splitlines()[1].startswith(r"a\x1b[2J\nb  (2,)")
    out = io.StringIO()
    rich.console.Console(file=out, width=200).print(jaxinit.describe({"[red]a\x1b[2J": np.zeros(2)}))
    assert r"[red]a\x1b[2J" in out.getvalue()
