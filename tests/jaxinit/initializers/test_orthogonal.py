"""orthogonal: (semi-)orthogonal in every layout and dtype, and uniform over all such matrices."""

import math
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

import jaxinit
from jaxinit import FLAX_CONV_TRANSPOSE, TORCH, Layout
from jaxinit._initializers.orthogonal import _phase, qr
from tests.jaxinit.draws import FALSE_ALARM

PLACES = [
    (jaxinit.FLAX, (9, 5)),
    (jaxinit.FLAX, (5, 9)),
    (jaxinit.FLAX, (6, 6)),
    (jaxinit.FLAX, (1, 1)),
    (jaxinit.FLAX, (3, 2, 4, 7)),
    (jaxinit.FLAX, (2, 1, 30)),
    (FLAX_CONV_TRANSPOSE, (3, 3, 5, 4)),
    (TORCH, (7, 2, 3)),
    (Layout(batch_axis=0), (3, 4, 6)),
    (Layout(in_axis=0, out_axis=1, batch_axis=(2, -1)), (4, 5, 2, 3)),
    (Layout(in_axis=0, out_axis=(1, 2)), (8, 2, 3)),
    (Layout(in_axis=(0, 1), out_axis=2), (2, 3, 4)),
]


def matrices(init: jaxinit.orthogonal, values: jax.Array) -> np.ndarray:
    """The stacked weights as matrices of torch's (out, in * spatial), never taller than wide."""
    weights = np.asarray(init.view(values.shape).to_torch(values))
    stacked = len(init.view(values.shape).batch)
    flat = weights.reshape(math.prod(weights.shape[:stacked]), weights.shape[stacked], -1)
    wide = np.complex128 if np.iscomplexobj(flat) else np.float64
    flat = flat.astype(wide)
    return flat if flat.shape[1] <= flat.shape[2] else flat.swapaxes(1, 2)


def assert_orthogonal(matrix: np.ndarray, gain: float, atol: float) -> None:
    product = matrix @ matrix.conj().swapaxes(1, 2)
    expected = np.broadcast_to(gain**2 * np.eye(matrix.shape[1]), product.shape)
    np.testing.assert_allclose(product, expected, rtol=0, atol=atol)


@pytest.mark.parametrize(("layout", "shape"), PLACES)
def test_weights_are_orthogonal_in_every_layout(layout: Layout, shape: tuple[int, ...], seed: int) -> None:
    init = jaxinit.orthogonal(1.5, layout=layout)
    assert_orthogonal(matrices(init, init(jax.random.key(seed), shape)), 1.5, 1e-5)


@pytest.mark.parametrize(
    ("dtype", "atol"),
    [("float64", 1e-13), ("complex64", 1e-5), ("complex128", 1e-13), ("float16", 2e-3), ("bfloat16", 2e-2),
     ("float8_e4m3fn", 0.2), ("float8_e5m2", 0.4)],
)  # fmt: skip
@pytest.mark.parametrize("shape", [(5, 9), (9, 5), (2, 3, 4)])
def test_weights_are_orthogonal_in_every_dtype(dtype: str, atol: float, shape: tuple[int, ...], seed: int) -> None:
    init = jaxinit.orthogonal()
    with jax.enable_x64(dtype in ("float64", "complex128")):
        values = init(jax.random.key(seed), shape, dtype)
    assert values.dtype == jnp.dtype(dtype)
    assert_orthogonal(matrices(init, values), 1.0, atol)
    if dtype.startswith("complex"):
        assert np.abs(np.asarray(values).imag).max() > 1e-3


@pytest.mark.parametrize("gain", [0.0, 0.1, -2.0, math.sqrt(2.0)])
def test_gain_scales_every_entry(gain: float, seed: int) -> None:
    key = jax.random.key(seed)
    np.testing.assert_allclose(
        jaxinit.orthogonal(gain)(key, (4, 6)), np.float32(gain) * jaxinit.orthogonal()(key, (4, 6)), rtol=1e-6
    )


@pytest.mark.parametrize(
    ("layout", "shape"),
    [(jaxinit.FLAX, (0, 3)), (jaxinit.FLAX, (3, 0)), (jaxinit.FLAX, (0, 3, 4)), (Layout(batch_axis=0), (0, 3, 4))],
)
def test_weights_without_entries(layout: Layout, shape: tuple[int, ...]) -> None:
    assert jaxinit.orthogonal(layout=layout)(jax.random.key(0), shape).shape == shape


def test_stacked_weights_are_independent_draws(seed: int) -> None:
    weights = np.asarray(jaxinit.orthogonal(layout=Layout(batch_axis=0))(jax.random.key(seed), (5, 4, 4)))
    for index in range(1, 5):
        assert np.abs(weights[index] - weights[0]).max() > 1e-3


@pytest.mark.parametrize("is_mapped", [False, True])
def test_a_cpu_computes_one_matrix_at_a_time(is_mapped: bool) -> None:
    """Programs that compute several batches at once can wait for ever there."""
    init = jaxinit.orthogonal(layout=Layout(batch_axis=0))
    draw, keys = (lambda key: init(key, (3, 6, 4))), jax.random.split(jax.random.key(0), 5)
    program = jax.jit(jax.vmap(draw)).lower(keys) if is_mapped else jax.jit(draw).lower(keys[0])
    stacked = re.findall(r'lapack_sorgqr_ffi.*?num_batch_dims = "(\d)"', program.as_text())
    assert stacked == ["0"]


def draws(shape: tuple[int, ...], seed: int, count: int = 64) -> np.ndarray:
    keys = jax.random.split(jax.random.key(seed), count)
    return np.asarray(jax.jit(jax.vmap(lambda key: jaxinit.orthogonal()(key, shape)))(keys))


@pytest.mark.parametrize("shape", [(1, 1), (1, 4), (4, 1), (3, 3), (5, 3)])
def test_the_first_entry_takes_both_signs(shape: tuple[int, ...], seed: int) -> None:
    # Without its phase a column has one sign alone. All 64 alike by chance: 2^-63. A zero once in 2^24.
    signs = np.sign(draws(shape, seed)[:, 0, 0])
    assert {-1.0, 1.0} <= set(signs)


@pytest.mark.parametrize("size", [1, 2, 3, 4])
def test_the_determinant_takes_both_signs(size: int, seed: int) -> None:
    determinants = np.linalg.det(draws((size, size), seed))
    np.testing.assert_allclose(np.abs(determinants), 1.0, rtol=1e-4)
    assert set(np.sign(determinants)) == {-1.0, 1.0}


@pytest.mark.parametrize("shape", [(3, 3), (6, 4)])
def test_every_entry_has_haars_marginal(shape: tuple[int, ...], seed: int) -> None:
    # An entry is a coordinate of a uniform point on the sphere: (1 + x) / 2 is beta.
    weights = draws(shape, seed, count=5000)
    half = (max(shape) - 1) / 2
    for row, column in ((0, 0), (shape[0] - 1, shape[1] - 1), (1, 0), (0, 1)):
        assert stats.kstest((weights[:, row, column] + 1) / 2, stats.beta(half, half).cdf).pvalue > FALSE_ALARM


def test_a_zero_on_the_diagonal_of_r_erases_no_column() -> None:
    diagonal = jnp.array([2.0, 0.0, -0.5, -0.0])
    np.testing.assert_array_equal(_phase(diagonal), [1.0, 1.0, -1.0, 1.0])
    np.testing.assert_allclose(_phase(jnp.array([3 + 4j, 0j])), [0.6 + 0.8j, 1.0], rtol=1e-6)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(1, 1), (6, 6), (64, 64), (64, 8), (3, 9, 9)])
def test_the_qr_of_torchs_numbers_is_exact_for_a_matrix_near_them(
    shape: tuple[int, ...], dtype: type[np.floating], rng: np.random.Generator
) -> None:
    """A column of R is that of Q^T A, and below the diagonal 0.

    To rounding: Householder's method decomposes a matrix whose columns are off by m n u of their lengths at most, times
    a small constant (Higham, Accuracy and Stability of Numerical Algorithms, theorem 19.4). That constant is 4 here.
    """
    matrix = rng.normal(size=shape).astype(dtype)
    q, exact = qr(matrix).astype(np.float64), matrix.astype(np.float64)
    rounding = 4 * shape[-1] * shape[-2] * float(np.finfo(dtype).eps) / 2
    np.testing.assert_allclose(
        q.swapaxes(-1, -2) @ q,
        np.broadcast_to(np.eye(shape[-1]), exact.shape[:-2] + 2 * shape[-1:]),
        rtol=0,
        atol=rounding,
    )
    r = q.swapaxes(-1, -2) @ exact
    bound = rounding * np.linalg.norm(exact, axis=-2, keepdims=True)
    assert (np.abs(np.tril(r, -1)) <= bound).all()
    assert (r.diagonal(axis1=-2, axis2=-1) >= -bound[..., 0, :]).all()
