"""Each known initializer is recognized from its draws, whatever the seed, and what looks wrong is said."""

import math
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import safetensors.numpy
import torch

import jaxinit
from jaxinit_conformance.weights.describe import Description, describe
from tests import seeds
from tests.conformance import command

pytestmark = pytest.mark.usefixtures("rare_errors")

KEY = jax.random.key(seeds.fresh(__name__))
SHAPE = (90, 200)  # whose schemes have scales that so many entries tell apart
SCATTER = 1 / math.sqrt(2 * math.prod(SHAPE))  # the standard error of a normal sample's std, relative


def draw(init: Any, shape: tuple[int, ...] = SHAPE, dtype: str = "float32") -> jax.Array:
    array: jax.Array = init(KEY, shape, jnp.dtype(dtype))
    return array


def one(array: Any, layout: jaxinit.Layout = jaxinit.FLAX) -> Description:
    (found,) = describe({"a": array}, layout)
    return found


KNOWN = [
    (jaxinit.kaiming_uniform(a=math.sqrt(5)), "kaiming_uniform(a=sqrt(5)), fan_in 90"),
    (jaxinit.kaiming_uniform(mode="fan_out"), "kaiming_uniform(mode='fan_out'), fan_out 200"),
    (jaxinit.kaiming_normal(nonlinearity="relu"), "kaiming_normal(), fan_in 90"),
    (jaxinit.xavier_uniform(), "xavier_uniform(), fans 90+200"),
    (jaxinit.xavier_normal(gain=5 / 3), "xavier_normal(gain=5/3), fans 90+200"),
    (jaxinit.normal(std=0.02), "normal(std=0.02)"),
    (jaxinit.trunc_normal(std=0.02, a=-0.04, b=0.04), "trunc_normal(std=0.02, a=-0.04, b=0.04)"),
    (jaxinit.uniform(), "uniform(a=0.0, b=1.0)"),
    (jaxinit.constant(0.25), "constant(0.25)"),
    (jaxinit.zeros(), "zeros"),
    (jaxinit.ones(), "ones"),
    (jaxinit.eye(), "eye"),
    (jaxinit.orthogonal(2.0), "orthogonal(gain=2)"),
    (jax.nn.initializers.lecun_normal(), "kaiming_normal(nonlinearity='linear'), fan_in 90, truncated at 2 sigma"),
    (jax.nn.initializers.glorot_uniform(), "xavier_uniform(), fans 90+200"),
]


@pytest.mark.parametrize(("init", "name"), KNOWN, ids=[name for _, name in KNOWN])
def test_an_initializer_is_recognized(init: Any, name: str) -> None:
    found = one(draw(init))
    assert (found.nearest, found.others) == (name, ())


@pytest.mark.parametrize("dtype", ["float64", "float16", "bfloat16", "float8_e4m3fn", "float8_e5m2"])
@pytest.mark.parametrize(("init", "name"), [KNOWN[0], KNOWN[2], KNOWN[5]])
def test_in_every_precision(init: Any, name: str, dtype: str) -> None:
    with jax.enable_x64(dtype == "float64"):
        found = one(np.asarray(draw(init, dtype=dtype)))
    assert name in (found.nearest, *found.others)
    assert found.wrong == ()


def test_fans_are_read_off_the_layout() -> None:
    array = draw(jaxinit.kaiming_uniform(), (3, 3, 16, 64))
    assert one(array).nearest == "kaiming_uniform(), fan_in 144"
    assert one(array.transpose(3, 2, 0, 1), jaxinit.TORCH).nearest == "kaiming_uniform(), fan_in 144"
    assert one(draw(jaxinit.dirac(), (3, 3, 4, 8))).nearest == "dirac"
    assert one(draw(jaxinit.orthogonal(), (3, 3, 8, 16))).nearest == "orthogonal(gain=1)"


def test_torchs_own_modules_are_recognized(seed: int) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = torch.nn.ModuleList([torch.nn.Linear(128, 96), torch.nn.Embedding(90, 70), torch.nn.LayerNorm(8)])
    found = {each.name: each.nearest for each in describe(model.state_dict(), jaxinit.TORCH)}
    assert found == found | {
        "0.weight": "kaiming_uniform(a=sqrt(5)), fan_in 128",
        "1.weight": "normal(std=1.0)",
        "2.weight": "ones",
        "2.bias": "zeros",
    }


def test_without_a_name_the_kind_and_its_numbers_are_said() -> None:
    kind, _, std = one(draw(jaxinit.normal(0.0, 0.3))).nearest.rpartition(" ")
    assert kind == "normal, std"
    assert float(std) == pytest.approx(0.3, rel=7 * SCATTER)
    assert one(draw(jaxinit.normal(3.0, 0.1))).nearest.startswith("normal, mean 3")
    assert one(draw(jaxinit.uniform(-0.1234, 0.1234))).nearest == "uniform, bound 0.123"
    assert one(draw(jaxinit.uniform(2.0, 3.0))).nearest == "uniform, 2 to 3"
    kind, _, std = one(draw(jaxinit.trunc_normal(std=0.3, a=-0.6, b=0.6))).nearest.rpartition(" ")
    expected = jaxinit.trunc_normal(std=0.3, a=-0.6, b=0.6).distribution(SHAPE).std
    assert kind == "normal truncated at 2 sigma, std"
    assert float(std) == pytest.approx(expected, rel=7 * SCATTER)
    laplace = draw(lambda key, shape, dtype: jax.random.laplace(key, shape, dtype))
    assert one(laplace).nearest == "none of the known"


def test_few_entries_leave_several_answers() -> None:
    found = one(draw(jaxinit.normal(std=0.02), (20,)))
    assert "normal(std=0.02)" in (found.nearest, *found.others)
    assert found.wrong == ()
    assert one(np.linspace(-0.03, 0.03, 6)).others


def test_statistics_are_those_of_the_entries() -> None:
    found = one(np.array([[1.0, 1.0, 2.0], [4.0, np.nan, np.inf]], np.float32))
    assert (found.name, found.shape, found.dtype) == ("a", (2, 3), "float32")
    assert (found.mean, found.low, found.high, found.distinct) == (2.0, 1.0, 4.0, 5)
    assert found.std == pytest.approx(math.sqrt(1.5))
    assert len(found.histogram) == 12
    assert found.wrong == ("1 NaN", "1 infinite")


WRONG = [
    (np.full((3, 4), 0.5, np.float32), "constant"),
    (np.zeros((0, 3), np.float32), "zero-size"),
    (np.arange(6), "int64, not floating"),
    (np.array([True, False]), "bool, not floating"),
    (np.full(3, np.nan), "3 NaN"),
    (np.array([np.inf, 1.0, -np.inf]), "2 infinite"),
]


@pytest.mark.parametrize(("array", "word"), WRONG, ids=[word for _, word in WRONG])
def test_what_looks_wrong_is_said(array: np.ndarray, word: str) -> None:
    assert word in one(array).wrong


def test_draws_that_look_wrong_are_named() -> None:
    # Its mean is off as well, by less than shows each time.
    assert "only 128 distinct values" in one(draw(jax.nn.initializers.normal(0.02), dtype="bfloat16")).wrong
    assert one(draw(jax.nn.initializers.he_normal())).wrong == ("truncated at 2 sigma",)
    (off,) = one(draw(jaxinit.normal(0.1, 0.9))).wrong
    # Within seven standard errors of 0.1 / 0.9.
    assert abs(float(off.split()[3]) - 1 / 9) < 7 / math.sqrt(math.prod(SHAPE))
    assert off.endswith("standard deviations")
    upcast = draw(jaxinit.normal(std=0.02), dtype="bfloat16").astype(jnp.float32)
    assert one(upcast).wrong == ("float32 that holds only bfloat16 values",)
    assert one(draw(jaxinit.zeros(), (9,))).wrong == ()


@pytest.mark.parametrize("value", [1e300, 1e-300, 1e-40])
def test_numbers_beyond_float32_are_described(value: float, rng: np.random.Generator) -> None:
    assert one(value * rng.normal(size=(20, 30))).shape == (20, 30)


@pytest.mark.parametrize(
    ("values", "mean"),
    [
        ([1.0, np.nextafter(1.0, 2.0)], 1.0),
        ([-1.7e308, 1.7e308], 0.0),
        ([1.6e308, 1.7e308], 1.65e308),
        ([5e-324, 1e-323], 1e-323),
        ([2**63 - 1, 2**63 - 2], 2.0**63),
    ],
)
def test_numbers_at_the_edge_of_float64_are_described(values: list[float], mean: float) -> None:
    found = one(np.array([values] * 100))
    assert found.mean == pytest.approx(mean)
    assert found.nearest == "none of the known"
    assert found.histogram == ("█▁▁▁▁▁▁▁▁▁▁█" if float(values[0]) < float(values[1]) else "")


def test_other_leaves_are_described() -> None:
    found = describe([1.0, jnp.ones((2, 2), jnp.complex64), jax.random.key(1)])
    assert [(each.dtype, each.mean) for each in found[:2]] == [("float64", 1.0), ("complex64", 0.5)]
    assert (found[0].nearest, found[2].nearest) == ("ones", "none of the known")
    assert describe({}) == []


def test_no_false_alarm_in_many_draws(rng: np.random.Generator) -> None:
    tree = {str(index): rng.normal(0.0, 0.02, (30, 40)).astype(np.float32) for index in range(100)}
    assert all("normal(std=0.02)" in (each.nearest, *each.others) for each in describe(tree))
    assert not any(each.wrong for each in describe(tree))


@pytest.mark.parametrize("size", [3, 10, 32])
def test_the_true_name_is_kept_among_few_entries(size: int, rng: np.random.Generator) -> None:
    tree = {str(index): rng.normal(0.0, 0.02, size).astype(np.float32) for index in range(100)}
    assert all("normal(std=0.02)" in (each.nearest, *each.others) for each in describe(tree))
    cut = {name: jax.random.truncated_normal(jax.random.fold_in(KEY, int(name)), -2, 2, (size,)) for name in tree}
    assert all("trunc_normal(std=1.0, a=-2.0, b=2.0)" in (each.nearest, *each.others) for each in describe(cut))


def test_no_fresh_layer_of_torch_looks_wrong(seed: int) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        layers = [torch.nn.Conv2d(3, 32, 3), torch.nn.BatchNorm2d(32), torch.nn.Linear(40, 50), torch.nn.GRU(20, 30)]
    for layout in (jaxinit.TORCH, jaxinit.FLAX):  # a .npz of torch's weights is read in Flax's layout
        found = {each.name: each for each in describe(torch.nn.ModuleList(layers).state_dict(), layout)}
        assert not any(each.wrong for each in found.values())
        assert found["0.weight"].nearest.partition(",")[0] in ("kaiming_uniform(a=sqrt(5))", "uniform")


def test_a_name_of_another_scale_is_not_given(rng: np.random.Generator) -> None:
    found = one(rng.uniform(-0.19, 0.19, 2000).astype(np.float32))
    assert (found.nearest.rpartition(" ")[0], found.others) == ("uniform, bound", ())


def test_describe_prints_a_markdown_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    weight = np.asarray(draw(jaxinit.kaiming_uniform(a=math.sqrt(5), layout=jaxinit.TORCH), (96, 192)))
    tree = {"a|[red]b\n\x1b[2J": weight, "bias": np.zeros(4, np.float32)}
    path = tmp_path / "x.safetensors"
    path.write_bytes(safetensors.numpy.save(tree))
    assert command.jaxinit(["describe", str(path)]) == 0
    lines = capsys.readouterr().out.strip().splitlines()
    table = [[cell.strip() for cell in line.split(" | ")] for line in lines if line.startswith("|")]
    assert table[0][0] == "| parameter"
    (row,) = (index for index, line in enumerate(table) if line[0] == r"| a\|[red]b\n\x1b[2J")
    assert [line[0] for line in table[row + 1 : row + 3]] == ["| (96, 192)", "| float32"]
    assert table[row][-1].startswith("kaiming_uniform(a=sqrt(5)), fan_in")
    assert lines[-1] == "2 parameters, 0 of which look wrong"


def test_npz_has_the_layout_of_flax_unless_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    np.savez(tmp_path / "x.npz", kernel=np.asarray(draw(jaxinit.kaiming_uniform())))
    assert command.jaxinit(["describe", str(tmp_path / "x.npz")]) == 0
    assert "kaiming_uniform(), fan_in 90 " in capsys.readouterr().out
    assert command.jaxinit(["describe", "--layout", "torch", str(tmp_path / "x.npz")]) == 0
    assert "kaiming_uniform(mode='fan_out'), fan_out 90 " in capsys.readouterr().out


def test_lengths_of_time_are_no_weights(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    np.savez(tmp_path / "x.npz", a=np.array([1, 2], "m8[s]"))
    (tmp_path / "x.npz").rename(tmp_path / "x.NPZ")
    assert command.jaxinit(["describe", str(tmp_path / "x.NPZ")]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


@pytest.mark.parametrize("name", ["missing.npz", "bad\nname.npz", "model.pt"])
def test_what_cannot_be_read_exits_2_with_one_line(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command.jaxinit(["describe", str(tmp_path / name)]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert len(printed.err.splitlines()) == 1
    assert printed.err.startswith("Error: cannot read ")
