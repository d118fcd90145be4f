"""sparse: exactly so many zeros in every torch column, at uniform places."""

import math

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

import jaxinit
from jaxinit import TORCH, Layout
from tests.jaxinit.draws import FALSE_ALARM


def zeros_per_column(init: jaxinit.sparse, shape: tuple[int, ...], seed: int) -> np.ndarray:
    values = init(jax.random.key(seed), shape)
    assert bool(np.isfinite(values).all())
    zeros: np.ndarray = (np.asarray(init.view(values.shape).to_torch(values)) == 0).sum(axis=-2)
    return zeros


@given(
    rows=st.integers(1, 70),
    columns=st.integers(1, 9),
    sparsity=st.one_of(st.floats(0, 1), st.sampled_from([0.0, 0.1, 1 / 3, 0.5, 0.7, 1.0])),
    seed=st.integers(0, 2**32 - 1),
)
@settings(deadline=None, max_examples=8)
def test_every_column_has_its_number_of_zeros(rows: int, columns: int, sparsity: float, seed: int) -> None:
    zeros = zeros_per_column(jaxinit.sparse(sparsity), (columns, rows), seed)
    assert (zeros == math.ceil(sparsity * rows)).all()


@pytest.mark.parametrize(
    ("layout", "shape", "rows"),
    [
        (jaxinit.FLAX, (50, 33), 33),
        (TORCH, (33, 50), 33),
        (jaxinit.FLAX_CONV_TRANSPOSE, (33, 50), 33),
        (Layout(batch_axis=0), (4, 5, 33), 33),
        (Layout(0, 1, (2, 3)), (5, 33, 2, 3), 33),
        (Layout(in_axis=0, out_axis=(1, 2)), (7, 11, 3), 33),
        (Layout(in_axis=(0, 1), out_axis=2), (7, 11, 33), 33),
    ],
)
def test_columns_are_torchs_in_every_layout(layout: Layout, shape: tuple[int, ...], rows: int, seed: int) -> None:
    zeros = zeros_per_column(jaxinit.sparse(0.1, layout=layout), shape, seed)
    assert (zeros == math.ceil(0.1 * rows)).all()


def test_tall_columns_are_exact_too(seed: int) -> None:
    # Thousands of steps down a column: rounding must not cost or add a zero.
    for sparsity in (0.001, 0.9999):
        zeros = zeros_per_column(jaxinit.sparse(sparsity), (3, 20_000), seed)
        assert (zeros == math.ceil(sparsity * 20_000)).all()


def test_zero_and_one() -> None:
    key = jax.random.key(0)
    assert bool((jaxinit.sparse(1.0)(key, (5, 7)) == 0).all())
    assert not bool((jaxinit.sparse(0.0)(key, (5, 7)) == 0).any())


def test_rows_are_uniform(seed: int) -> None:
    rows, columns, chosen = 12, 8000, 4
    values = np.asarray(jaxinit.sparse(0.3, layout=TORCH)(jax.random.key(seed), (rows, columns)))
    zero = values == 0
    share = chosen / rows
    excess = zero.sum(axis=1) - columns * share
    # Drawn without replacement: the counts of rows vary less than independent ones by (rows - 1) / rows.
    statistic = (rows - 1) / rows * (excess**2).sum() / (columns * share * (1 - share))
    assert stats.chi2.sf(statistic, rows - 1) > FALSE_ALARM
    together = chosen * (chosen - 1) / (rows * (rows - 1))
    for first, second in ((0, 1), (3, 4), (4, 5), (0, 11), (7, 8)):
        pairs = int((zero[first] & zero[second]).sum())
        assert stats.binomtest(pairs, columns, together).pvalue > FALSE_ALARM


def test_the_choice_of_every_subset_is_uniform(seed: int) -> None:
    rows, columns = 6, 20_000
    zero = np.asarray(jaxinit.sparse(0.5)(jax.random.key(seed), (columns, rows))) == 0
    _, counts = np.unique(zero @ (2 ** np.arange(rows)), return_counts=True)
    assert len(counts) == math.comb(6, 3)
    assert stats.chisquare(counts).pvalue > FALSE_ALARM


def test_columns_and_stacked_weights_differ(seed: int) -> None:
    weights = np.asarray(jaxinit.sparse(0.5, layout=Layout(batch_axis=0))(jax.random.key(seed), (6, 8, 64)))
    patterns = (weights == 0).reshape(48, 64)
    # Two of the C(64, 32) patterns alike by chance: below 1e-14.
    assert len(np.unique(patterns, axis=0)) == 48


def test_the_rest_is_normal_wherever_the_zeros_are(seed: int) -> None:
    values = np.asarray(jaxinit.sparse(0.25, std=0.3)(jax.random.key(seed), (200, 160)))
    rest = values[values != 0]
    assert rest.size == 200 * 120
    assert stats.kstest(rest, stats.norm(0, 0.3).cdf).pvalue > FALSE_ALARM


def test_complex_weights_are_zero_in_both_parts(seed: int) -> None:
    values = np.asarray(jaxinit.sparse(0.25)(jax.random.key(seed), (5, 8), "complex64"))
    assert ((values == 0).sum(axis=1) == 2).all()
    assert np.count_nonzero(values.imag) == 5 * 6


def test_two_zeros_among_many_rows_are_as_far_apart_as_chance_has_it(seed: int) -> None:
    """Within 1000 of 2^17 rows of each other with probability 0.0152. The bound is exceeded once in 10^11 runs."""
    rows, columns = 2**17, 400
    weights = jaxinit.sparse(2 / rows, layout=jaxinit.TORCH)(jax.random.key(seed), (rows, columns))
    places = np.nonzero(np.asarray(weights).T == 0)[1].reshape(columns, 2)
    close = int((places[:, 1] - places[:, 0] <= 1000).sum())
    assert close <= stats.binom.isf(FALSE_ALARM, columns, 2 * 1000 / rows)
