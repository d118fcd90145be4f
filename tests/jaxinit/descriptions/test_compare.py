"""Two trees: both error rates kept, names and sizes matched, what differs said."""

import math

import ml_dtypes
import numpy as np
import pytest

import jaxinit
from jaxinit._descriptions import sample
from jaxinit._descriptions.comparison import Row


def _row(a: np.ndarray, b: np.ndarray) -> Row:
    (row,) = jaxinit.compare({"a": a}, {"a": b}).rows
    return row


def test_the_same_distribution_is_the_same(rng: np.random.Generator) -> None:
    a = {str(index): rng.normal(0.0, 0.02, (20, 50)) for index in range(100)}
    b = {str(index): rng.normal(0.0, 0.02, (50, 20)).astype(np.float32) for index in range(100)}
    found = jaxinit.compare(a, b)
    assert found.same
    assert {row.verdict for row in found.rows} == {"same distribution"}


def test_light_tails_raise_no_false_alarm(rng: np.random.Generator) -> None:
    a, b = ({str(index): rng.uniform(-1, 1, (20, 50)) for index in range(100)} for _ in range(2))
    assert jaxinit.compare(a, b).same


def test_coarser_dtypes_do_not_differ_for_their_rounding(rng: np.random.Generator) -> None:
    for dtype in (ml_dtypes.bfloat16, np.float16, ml_dtypes.float8_e4m3fn):
        assert _row(rng.normal(size=(60, 100)), rng.normal(size=(60, 100)).astype(dtype)).verdict == "same distribution"


def test_what_is_said_to_be_detectable_is_detected(rng: np.random.Generator) -> None:
    size = (60, 100)
    same = _row(rng.normal(size=size), rng.normal(size=size))
    assert same.verdict == "same distribution"
    ratio = same.detectable_ratio * 1.01  # the widening for heavy tails differs between samples
    for factor in (ratio, 1 / ratio):
        row = _row(rng.normal(size=size), factor * rng.normal(size=size))
        assert row.verdict == "differs"
        assert row.ratio == pytest.approx(factor, rel=0.2)
    # Its distribution function is off by so much in the middle.
    shifted = np.where(rng.random(size) < 2 * same.detectable, 0.5, rng.random(size))
    assert _row(rng.random(size), shifted).verdict == "differs"


def test_a_shape_of_the_same_scale_differs(rng: np.random.Generator) -> None:
    size = (200, 300)
    uniform = rng.uniform(-math.sqrt(3), math.sqrt(3), size)
    row = _row(rng.normal(size=size), uniform)
    assert row.verdict == "differs"
    assert row.ratio == pytest.approx(1.0, abs=0.05)


@pytest.mark.parametrize(
    ("a", "b", "verdict"),
    [
        (np.zeros(4), np.zeros(4), "equal"),
        (np.zeros(4), np.zeros((2, 2)), "equal values"),
        (np.zeros(4), np.ones(4), "differs"),
        (np.zeros(4), np.array([0.0, 0.1, 0.2, 0.3]), "differs"),
        (np.array([0.0, 0.1, 0.2, 0.3]), np.array([0.0, 9.0, 0.2, 0.3]), "too few entries to tell"),
        (np.ones(()), np.zeros(()), "too few entries to tell"),
        (np.array([0.0, 0.1, 0.2, 0.3]), np.array([0.0, 0.1, 0.2, 0.3]), "equal"),
        (np.ones(4), np.ones(5), "sizes differ"),
        (np.ones((0, 3)), np.ones((3, 0)), "equal values"),
        (np.full(4, np.nan), np.full(4, np.nan), "equal"),
        (np.full(4, np.nan), np.full((2, 2), np.nan), "too few entries to tell"),
        (np.full(4, np.nan), np.ones(4), "differs"),
        (np.arange(99.0), np.append(np.arange(98.0), np.nan), "differs"),
        (np.full(4, np.inf), np.full(4, np.inf), "equal"),
        (np.ones(4, np.int32), np.ones(4, bool), "equal values"),
        (np.zeros(4), -np.zeros(4), "equal values"),
    ],
)
def test_small_and_constant_arrays(a: np.ndarray, b: np.ndarray, verdict: str) -> None:
    assert _row(a, b).verdict == verdict


def test_nan_on_one_side_differs(rng: np.random.Generator) -> None:
    values = rng.normal(size=4000)
    assert _row(values, np.where(values < 0, np.nan, values)).verdict == "differs"


@pytest.mark.parametrize("place", [0, 2**20 - 1, 2**20, 2**20 + 9])
@pytest.mark.parametrize("value", [math.nan, 1.0])
@pytest.mark.parametrize("shape", [(-1,), (2, -1)])
def test_one_other_entry_of_a_large_array_is_seen(place: int, value: float, shape: tuple[int, ...]) -> None:
    """Only half of the entries are looked at for the distributions."""
    a = np.zeros(2**20 + 10, np.float32)
    b = a.copy()
    b[place] = value
    row = _row(a, b.reshape(shape))
    assert row.verdict == "differs"
    assert row.difference == 1.0 or math.isnan(row.difference)


def test_nan_at_other_places_is_no_equal_value() -> None:
    a, b = np.array([1.0, math.nan]), np.array([math.nan, 1.0])
    assert _row(a, b).verdict == "differs"
    assert _row(a, b.reshape(2, 1)).verdict == "equal values"


@pytest.mark.parametrize(("a", "b"), [([2**53, 2**53], [2**53 + 1, 2**53]), ([2**62, 2**62], [2**62 + 1, 2**62 + 1])])
def test_integers_that_float64_cannot_tell_apart_differ(a: list[int], b: list[int]) -> None:
    row = _row(np.array(a, np.int64), np.array(b, np.int64))
    assert (row.verdict, row.difference) == ("differs", 1)
    assert _row(np.array(a, np.int64), np.array(b, np.uint64)).verdict == "differs"
    assert _row(np.array([*a, 0], np.int64), np.array([*b, 0], np.int64)).verdict == "too few entries to tell"
    assert _row(np.array(a, np.int64), np.array(a, np.uint64)).verdict == "equal values"
    assert _row(np.array([[*a]], np.int64), np.array(b, np.int64)).verdict == "differs"


def test_one_nan_among_many_random_entries_is_seen(rng: np.random.Generator) -> None:
    a, b = (rng.normal(size=2**20 + 10).astype(np.float32) for _ in range(2))
    b[-1] = math.nan
    assert _row(a, b).verdict == "differs"


def test_many_entries_are_compared_in_part(rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sample, "_MOST", 5000)
    row = _row(rng.normal(size=20_000), rng.normal(size=20_000))
    assert row.verdict == "same distribution"
    assert row.detectable == pytest.approx(_row(rng.normal(size=5000), rng.normal(size=5000)).detectable)
    assert row.difference > 4  # of all entries


def test_names_are_matched_and_the_others_listed() -> None:
    ones = np.ones(4)
    a, b = {"x": ones, "only_a": ones, "old": ones}, {"x": ones, "only_b": ones, "new": ones}
    found = jaxinit.compare(a, b, rename={"new": "old"})
    assert [(row.name, row.other) for row in found.rows] == [("x", "x"), ("old", "new")]
    assert (found.missing, found.unexpected) == (("only_a",), ("only_b",))
    assert not found.same
    assert jaxinit.compare({"a": ones}, [ones], rename={"0": "a"}).equal


def test_two_models_without_a_common_name_are_told_what_to_pass() -> None:
    assert "compare(variables, state, module, x)" in str(jaxinit.compare({"a": np.ones(4)}, {"b": np.ones(4)}))


def test_names_of_torch_meet_names_of_flax() -> None:
    ones = np.ones(4)
    torchs = {"0.weight": ones, "1.weight": ones, "1.running_var": ones, "2.weight": ones, "3.weight": ones}
    flaxs = {"0.kernel": ones, "1.scale": ones, "1.var": ones, "2.kernel": ones, "2.embedding": ones, "3.kernel": ones}
    found = jaxinit.compare(torchs, flaxs, rename=[(r"3\.kernel", "2.weight")])
    assert {(row.name, row.other) for row in found.rows} == {
        *(("0.weight", "0.kernel"), ("1.running_var", "1.var"), ("1.weight", "1.scale")),
        ("2.weight", "3.kernel"),
    }
    assert (found.missing, found.unexpected) == (("3.weight",), ("2.kernel", "2.embedding"))


def test_a_kernel_and_a_weight_are_compared_entry_by_entry(rng: np.random.Generator) -> None:
    for kernel, weight in (((4, 4), (4, 4)), ((3, 2, 4, 8), (8, 4, 3, 2))):
        array = rng.normal(size=weight)
        moved = jaxinit.FLAX.from_torch(array, kernel)
        (row,) = jaxinit.compare({"a.kernel": moved}, {"a.weight": array}).rows
        assert (row.verdict, row.difference) == ("equal", 0.0)


def test_the_largest_difference_is_that_of_all_entries(rng: np.random.Generator) -> None:
    a = rng.normal(size=(3, 2**20)).astype(np.float32)
    b = a.copy()
    b[2, 7] += 0.5
    row = _row(a, b)
    assert row.difference == pytest.approx(0.5, abs=1e-6)
    assert row.verdict == "same distribution"


@pytest.mark.parametrize("size", [2, 32, 100])
def test_few_entries_are_not_called_the_same(size: int, rng: np.random.Generator) -> None:
    row = _row(rng.uniform(-0.19, 0.19, size), rng.normal(0, 0.19, size))
    assert row.verdict == "too few entries to tell"
    assert row.detectable >= 1
