"""Each known initializer is recognized from its draws, whatever the seed, and what looks wrong is said."""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

import jaxinit
from jaxinit._descriptions.description import Row
from tests import seeds

KEY = jax.random.key(seeds.fresh(__name__))
SHAPE = (90, 200)  # whose schemes have scales that so many entries tell apart
SCATTER = 1 / math.sqrt(2 * math.prod(SHAPE))  # the standard error of a normal sample's std, relative


def draw(init: Any, shape: tuple[int, ...] = SHAPE, dtype: str = "float32") -> jax.Array:
    array: jax.Array = init(KEY, shape, jnp.dtype(dtype))
    return array


def one(array: Any, layout: jaxinit.Layout = jaxinit.FLAX) -> Row:
    (found,) = jaxinit.describe([array], layout=layout).rows
    return found


KNOWN = [
    (jaxinit.kaiming_uniform(a=math.sqrt(5)), "kaiming_uniform(a=sqrt(5)), fan_in 90"),
    (jaxinit.kaiming_uniform(mode="fan_out"), "kaiming_uniform(mode='fan_out'), fan_out 200"),
    (jaxinit.kaiming_normal(nonlinearity="relu"), "kaiming_normal(), fan_in 90"),
    (jaxinit.xavier_uniform(), "xavier_uniform(), fans 90+200"),
    (jaxinit.xavier_normal(gain=5 / 3), "xavier_normal(gain=5/3), fans 90+200"),
    (jaxinit.normal(std=0.02), "normal(std=0.02)"),
    (jaxinit.trunc_normal(std=0.02, a=-0.04, b=0.04), "trunc_normal(std=0.02, a=-0.04, b=0.04)"),
    (jaxinit.uniform(), "uniform()"),
    (jaxinit.constant(0.25), "constant(val=0.25)"),
    (jaxinit.zeros(), "zeros()"),
    (jaxinit.ones(), "ones()"),
    (jaxinit.eye(), "eye()"),
    (jaxinit.orthogonal(2.0), "orthogonal(gain=2)"),
    (jax.nn.initializers.lecun_normal(), "kaiming_normal(nonlinearity='linear') truncated at 2 sigma, fan_in 90"),
    (jax.nn.initializers.glorot_uniform(), "xavier_uniform(), fans 90+200"),
]


@pytest.mark.parametrize(("init", "name"), KNOWN, ids=[name for _, name in KNOWN])
def test_an_initializer_is_recognized(init: Any, name: str) -> None:
    assert one(draw(init)).drawn_from == (name,)


@pytest.mark.parametrize("dtype", ["float64", "float16", "bfloat16", "float8_e4m3fn", "float8_e5m2"])
@pytest.mark.parametrize(("init", "name"), [KNOWN[0], KNOWN[2], KNOWN[5]])
def test_in_every_precision(init: Any, name: str, dtype: str) -> None:
    with jax.enable_x64(dtype == "float64"):
        found = one(np.asarray(draw(init, dtype=dtype)))
    assert name in found.drawn_from
    assert found.wrong == ()


def test_fans_are_read_off_the_layout() -> None:
    array = draw(jaxinit.kaiming_uniform(), (3, 3, 16, 64))
    assert one(array).drawn_from == ("kaiming_uniform(), fan_in 144",)
    assert one(array.transpose(3, 2, 0, 1), jaxinit.TORCH).drawn_from == ("kaiming_uniform(), fan_in 144",)
    assert one(draw(jaxinit.dirac(), (3, 3, 4, 8))).drawn_from == ("dirac()",)
    assert one(draw(jaxinit.orthogonal(), (3, 3, 8, 16))).drawn_from == ("orthogonal()",)


def test_torchs_own_modules_are_recognized(seed: int) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = torch.nn.ModuleList([torch.nn.Linear(128, 96), torch.nn.Embedding(90, 70), torch.nn.LayerNorm(8)])
    found = {each.path: each.drawn_from for each in jaxinit.describe(model.state_dict()).rows}
    assert found == found | {
        "0.weight": ("kaiming_uniform(a=sqrt(5)), fan_in 128",),
        "1.weight": ("normal()",),
        "2.weight": ("ones()",),
        "2.bias": ("zeros()",),
    }


def number(text: str) -> float:
    return float(text.rpartition("=")[2].rpartition(" ")[2].strip(")"))


def test_without_a_name_the_kind_and_its_numbers_are_said() -> None:
    (text,) = one(draw(jaxinit.normal(0.0, 0.3))).drawn_from
    assert text.startswith("about normal(std=")
    assert number(text) == pytest.approx(0.3, rel=7 * SCATTER)
    assert one(draw(jaxinit.normal(3.0, 0.1))).drawn_from[0].startswith("about normal(mean=3")
    assert one(draw(jaxinit.uniform(-0.1234, 0.1234))).drawn_from == ("about uniform(-0.123, 0.123)",)
    assert one(draw(jaxinit.uniform(2.0, 3.0))).drawn_from == ("about uniform(2, 3)",)
    (text,) = one(draw(jaxinit.trunc_normal(std=0.3, a=-0.6, b=0.6))).drawn_from
    assert text.startswith("about trunc_normal(std=")
    assert number(text) == pytest.approx(0.6, rel=0.01)
    laplace = draw(lambda key, shape, dtype: jax.random.laplace(key, shape, dtype))
    assert one(laplace).drawn_from == ()


def test_the_distribution_is_a_value() -> None:
    found = one(draw(jaxinit.xavier_normal()))
    assert found.distribution == jaxinit.xavier_normal().distribution(SHAPE)


def test_few_entries_leave_several_answers() -> None:
    found = one(draw(jaxinit.normal(std=0.02), (20,)))
    assert "normal(std=0.02)" in found.drawn_from
    assert found.wrong == ()
    assert len(one(np.linspace(-0.03, 0.03, 6)).drawn_from) > 1


WRONG = [
    (np.full((3, 4), 0.5, np.float32), "constant"),
    (np.zeros((0, 3), np.float32), "zero-size"),
    (np.arange(6), "int64, not floating"),
    (np.array([True, False]), "bool, not floating"),
    (jnp.array([1, 2, 3], jnp.int4), "int4, not floating"),
    (np.full(3, np.nan), "3 NaN"),
    (np.array([np.inf, 1.0, -np.inf]), "2 infinite"),
]


def test_a_constant_vector_does_not_look_wrong() -> None:
    """BatchNorm of Haiku has the axes of its input."""
    assert one(np.zeros((1, 1, 1, 16), np.float32)).wrong == ()


@pytest.mark.parametrize(("array", "word"), WRONG, ids=[word for _, word in WRONG])
def test_what_looks_wrong_is_said(array: np.ndarray, word: str) -> None:
    assert word in one(array).wrong


def test_draws_that_look_wrong_are_named() -> None:
    assert "only 128 distinct values" in one(draw(jax.nn.initializers.normal(0.02), dtype="bfloat16")).wrong
    assert one(draw(jax.nn.initializers.he_normal())).wrong == ()
    upcast = draw(jaxinit.normal(std=0.02), dtype="bfloat16").astype(jnp.float32)
    assert one(upcast).wrong == ("float32 that holds only bfloat16 values",)
    assert one(draw(jaxinit.zeros(), (900,))).wrong == ()


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
    assert found.drawn_from == ()
    assert found.histogram == ("█▁▁▁▁▁▁▁▁▁▁█" if float(values[0]) < float(values[1]) else "")


def test_no_false_alarm_in_many_draws(rng: np.random.Generator) -> None:
    tree = {str(index): rng.normal(0.0, 0.02, (30, 40)).astype(np.float32) for index in range(100)}
    rows = jaxinit.describe(tree).rows
    assert all("normal(std=0.02)" in row.drawn_from for row in rows)
    assert not any(row.wrong for row in rows)


@pytest.mark.parametrize("size", [3, 10, 32])
def test_the_true_name_is_kept_among_few_entries(size: int, rng: np.random.Generator) -> None:
    tree = {str(index): rng.normal(0.0, 0.02, size).astype(np.float32) for index in range(100)}
    assert all("normal(std=0.02)" in row.drawn_from for row in jaxinit.describe(tree).rows)
    cut = {name: jax.random.truncated_normal(jax.random.fold_in(KEY, int(name)), -2, 2, (size,)) for name in tree}
    assert all("trunc_normal()" in row.drawn_from for row in jaxinit.describe(cut).rows)


def test_no_fresh_layer_of_torch_looks_wrong(seed: int) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        layers = [torch.nn.Conv2d(3, 32, 3), torch.nn.BatchNorm2d(32), torch.nn.Linear(40, 50), torch.nn.GRU(20, 30)]
    bound = float(layers[0].state_dict()["weight"].abs().max())
    about = f"about uniform(-{bound:.3g}, {bound:.3g})"
    # A .npz of torch's weights is read in Flax's layout.
    for layout, name in ((jaxinit.TORCH, "kaiming_uniform(a=sqrt(5)), fan_in 27"), (jaxinit.FLAX, about)):
        rows = jaxinit.describe(torch.nn.ModuleList(layers).state_dict(), layout=layout).rows
        assert not any(row.wrong for row in rows)
        assert rows[0].drawn_from[0] == name


def test_a_name_of_another_scale_is_not_given(rng: np.random.Generator) -> None:
    (text,) = one(rng.uniform(-0.19, 0.19, 2000).astype(np.float32)).drawn_from
    assert text.startswith("about uniform(-0.1")


def test_a_likely_distribution_comes_before_usual_numbers(rng: np.random.Generator) -> None:
    bound = 0.02 * math.sqrt(3)  # with the std of normal(std=0.02), and by its distribution function too near to tell
    (text,) = one(rng.uniform(-bound, bound, 1200).astype(np.float32)).drawn_from
    assert text.startswith("about uniform(")
