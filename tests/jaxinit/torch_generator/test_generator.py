"""The numbers of TorchGenerator are torch's to the bit, and so is the state after them, where torch has AVX2."""

import copy
import math
import random
import re
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

from jaxinit import TorchGenerator
from jaxinit._torch_generator import trunc_normal
from jaxinit._torch_generator.mt19937 import CHUNK
from tests.jaxinit.torch_generator.torch_streams import (
    DTYPES,
    as_on_avx2,
    assert_same_bits,
    assert_same_state,
    each_dtype,
    torch_generator,
    values_of,
)

SIZES = [*range(71), 4095, 4096, 4097, CHUNK - 1, CHUNK + 16, CHUNK + 17, 10**6]
Window = tuple[float, float, float, float]
WINDOWS: list[Window] = [
    (0.0, 1.0, -2.0, 2.0),
    (0.0, 0.02, -0.04, 0.04),
    (0.1, 0.5, -0.4, math.inf),
    (0.0, 1.0, 2.0, 3.0),
    (0.3, 0.7, 1.5, 1.9),
    (-0.2, 0.1, -0.6, -0.5),
]


@as_on_avx2
@each_dtype
@pytest.mark.parametrize("bounds", [(0, 1), (-0.3, 0.3), (-0.1234, 0.7), (3.0, 3.0001), (-1.5, 4.5), (0.25, 0.25)])
def test_uniforms_are_torchs(bounds: tuple[float, float], dtype: str, seed: int) -> None:
    ours, theirs = TorchGenerator(seed), torch_generator(seed)
    for size in SIZES:
        tensor = torch.empty(size, dtype=DTYPES[dtype]).uniform_(*bounds, generator=theirs)
        assert_same_bits(ours.uniform(*bounds, (size,), dtype), tensor)
    assert_same_state(ours, theirs)


@as_on_avx2
@pytest.mark.parametrize("dtype", ["complex64", "complex128"])
def test_complex_numbers_are_torchs(dtype: str, seed: int) -> None:
    ours, theirs = TorchGenerator(seed), torch_generator(seed)
    for size in SIZES[:40]:
        empty = torch.empty(size, dtype=getattr(torch, dtype))
        assert (ours.uniform(-0.3, 0.7, (size,), dtype) == empty.uniform_(-0.3, 0.7, generator=theirs).numpy()).all()
        assert (ours.normal(0.5, 0.7, (size,), dtype) == empty.normal_(0.5, 0.7, generator=theirs).numpy()).all()
    assert_same_state(ours, theirs)


@as_on_avx2
@each_dtype
@pytest.mark.parametrize("numbers", [(0.0, 1.0), (0.0, 0.02), (-0.3, 0.7), (2.0, 0.0)])
def test_normals_are_torchs(numbers: tuple[float, float], dtype: str, seed: int) -> None:
    ours, theirs = TorchGenerator(seed), torch_generator(seed)
    for size in SIZES:
        tensor = torch.empty(size, dtype=DTYPES[dtype]).normal_(*numbers, generator=theirs)
        assert_same_bits(ours.normal(*numbers, (size,), dtype), tensor)
        assert_same_state(ours, theirs)


def logs_of_torch(levels: np.ndarray, dtype: str) -> np.ndarray:
    return values_of(torch.from_numpy(levels.astype(np.float64)).to(DTYPES[dtype]).log()).astype(levels.dtype)


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_the_log_that_decides_on_a_truncated_normal_is_within_an_ulp_of_torchs(dtype: str) -> None:
    levels = (np.arange(1, 2**24) * 2.0**-24).astype(jnp.dtype(dtype))
    ours, theirs = trunc_normal._log(levels).astype(np.float64), logs_of_torch(levels, dtype).astype(np.float64)
    assert (np.abs(ours - theirs) <= float(jnp.finfo(dtype).eps) * np.abs(theirs)).all()
    # MKL's own code for each vendor: 0.1% of the arguments on Intel, 7.5% on AMD.
    assert (ours != theirs).mean() < 0.1


@as_on_avx2
@each_dtype
@pytest.mark.filterwarnings("ignore:mean is more than 2 std from")
@pytest.mark.parametrize("window", WINDOWS)
def test_truncated_normals_are_torchs(window: Window, dtype: str, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    # Where torch's own log decides otherwise, less than once in 10**8 numbers, all that follows differs.
    monkeypatch.setattr(trunc_normal, "_log", lambda levels: logs_of_torch(levels, levels.dtype.name))
    ours, theirs = TorchGenerator(seed), torch_generator(seed)
    for size in (0, 1, 5, 15, 16, 17, 70, 4097, 100_003):
        tensor = torch.nn.init.trunc_normal_(torch.empty(size, dtype=DTYPES[dtype]), *window, generator=theirs)
        assert_same_bits(ours.trunc_normal(*window, (size,), dtype), tensor)
    assert_same_state(ours, theirs)


@pytest.mark.parametrize("n", [0, 1, 2, 3, 70, 1000, 29_999, 30_001, 10**6])
def test_permutations_are_torchs(n: int, seed: int) -> None:
    ours, theirs = TorchGenerator(seed), torch_generator(seed)
    expected = torch.randperm(n, generator=theirs).numpy()
    head = copy.copy(ours).randperm(n, first=n // 3)
    np.testing.assert_array_equal(ours.randperm(n), expected, strict=True)
    np.testing.assert_array_equal(head, expected[: n // 3], strict=True)
    assert_same_state(ours, theirs)


Call = tuple[Callable[[TorchGenerator], np.ndarray], Callable[[torch.Generator], torch.Tensor]]


def any_call(dice: random.Random) -> Call:
    """One call of either kind of generator, with sizes on both sides of every seam."""
    size, dtype = dice.choice([0, 1, 2, 15, 16, 17, 31, 623, 624, 625, 5000]), dice.choice(list(DTYPES))
    shape = (size,)
    low, mean, std = dice.uniform(-2, 0), dice.uniform(-1, 1), dice.uniform(0.1, 2)

    def empty() -> torch.Tensor:
        return torch.empty(size, dtype=DTYPES[dtype])

    calls: list[Call] = [
        (lambda ours: ours.uniform(low, 1.0, shape, dtype), lambda g: empty().uniform_(low, 1.0, generator=g)),
        (lambda ours: ours.normal(mean, std, shape, dtype), lambda g: empty().normal_(mean, std, generator=g)),
        (
            lambda ours: ours.trunc_normal(0.0, std, low, 1.5, shape, dtype),
            lambda g: torch.nn.init.trunc_normal_(empty(), 0.0, std, low, 1.5, generator=g),
        ),
        (lambda ours: ours.randperm(size), lambda g: torch.randperm(size, generator=g)),
    ]
    return dice.choice(calls)


@as_on_avx2
def test_streams_of_mixed_calls_pass_to_and_fro_in_mid_stream(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trunc_normal, "_log", lambda levels: logs_of_torch(levels, levels.dtype.name))  # as above
    dice = random.Random(seed)
    ours, theirs = TorchGenerator(seed), torch_generator(seed)
    for _ in range(300):
        our_call, their_call = any_call(dice)
        drawn, tensor = our_call(ours), their_call(theirs)
        np.testing.assert_array_equal(drawn.astype(np.float64), values_of(tensor), strict=True)
        if dice.random() < 0.2:
            states = ours.get_state(), theirs.get_state()
            np.testing.assert_array_equal(states[0], states[1].numpy())
            ours = TorchGenerator.from_state(states[1])
            theirs.set_state(torch.from_numpy(states[0]))


def test_shapes_are_filled_in_order(seed: int) -> None:
    flat = TorchGenerator(seed).normal(0, 1, (60,))
    np.testing.assert_array_equal(TorchGenerator(seed).normal(0, 1, [3, 4, 5]), flat.reshape(3, 4, 5), strict=True)
    assert TorchGenerator(seed).uniform(0, 1, ()).shape == ()


def test_jax_takes_the_buffer_without_a_copy(seed: int) -> None:
    for dtype in ("float32", "float16", "bfloat16"):
        drawn = TorchGenerator(seed).normal(0, 1, (100, 7), dtype)
        array = jax.device_put(drawn, jax.devices("cpu")[0])
        assert array.addressable_data(0).unsafe_buffer_pointer() == drawn.ctypes.data


# As torch 2.13 gives them, and this did when it was first released.
GOLDEN: list[tuple[Callable[[TorchGenerator], np.ndarray], list[float]]] = [
    (lambda g: g.uniform(-0.3, 0.7, (2,)), [0.23492252826690674, -0.10119682550430298]),
    (lambda g: g.normal(0.1, 0.5, (3,)), [-0.04762301966547966, 1.0842739343643188, -0.5257000923156738]),
    (lambda g: g.normal(0, 1, (17,))[::8], [1.9300168752670288, 0.17437535524368286, 1.6409332752227783]),
    (
        lambda g: g.trunc_normal(0, 0.02, -0.04, 0.04, (20,))[::9],
        [0.03735566884279251, -0.024863792583346367, -0.007731555495411158],
    ),
    (lambda g: g.trunc_normal(0, 1, 2, 3, (3,)), [2.0114529132843018, 2.04028582572937, 2.707700490951538]),
    (lambda g: g.randperm(6), [5, 0, 2, 1, 3, 4]),
    (lambda g: g.uniform(-1, 1, (2,), "float64"), [0.4376614169641535, 0.5022225569550329]),
    (lambda g: g.normal(0, 1, (16,), "bfloat16")[:2], [0.1650390625, -0.71484375]),
    (lambda g: g.uniform(0, 3, (2,), "float16"), [1.2373046875, 1.96875]),
]


def test_golden_values() -> None:
    generator = TorchGenerator(2**40 + 7)
    for draw, expected in GOLDEN:
        assert draw(generator).astype(np.float64).tolist() == expected


ERRORS: list[tuple[Callable[[], object], type[Exception], str]] = [
    (lambda: TorchGenerator(2**64), ValueError, "`seed` must be between -9223372036854775808 and 18446744073709551615"),
    (lambda: TorchGenerator(-(2**63) - 1), ValueError, "got -9223372036854775809"),
    (lambda: TorchGenerator(1.0), TypeError, "`seed` must be an integer, got 1.0"),  # type: ignore[arg-type]  # which is refused
    (lambda: TorchGenerator(True), TypeError, "`seed` must be an integer, got True"),
    (lambda: TorchGenerator.from_state(np.zeros(5056)), TypeError, "`state` must be an array of uint8, got float64"),
    (
        lambda: TorchGenerator.from_state(np.zeros(16, np.uint8)),
        ValueError,
        "`state` must have torch's shape (5056,), got (16,)",
    ),
    (
        lambda: TorchGenerator.from_state(np.zeros(5056, np.uint8)),
        ValueError,
        "`state` must be that of a seeded CPU generator, got one with left=0 and next=0",
    ),
    (
        lambda: TorchGenerator(0).uniform(1, 0, (3,)),
        ValueError,
        "`low` must not exceed `high`, got low=1.0 and high=0.0",
    ),
    (lambda: TorchGenerator(0).uniform(0, math.inf, (3,)), ValueError, "`high` must be finite, got inf"),
    (lambda: TorchGenerator(0).uniform(0, 1e9, (3,), "float16"), ValueError, "`dtype` must be wide enough"),
    (lambda: TorchGenerator(0).uniform(-3e38, 3e38, (3,)), ValueError, "`dtype` must be wide enough"),
    (lambda: TorchGenerator(0).normal(0, -1, (3,)), ValueError, "`std` must be at least 0, got -1.0"),
    (lambda: TorchGenerator(0).normal(0, 1, (-3,)), ValueError, "`shape` must not have a negative size, got (-3,)"),
    (
        lambda: TorchGenerator(0).normal(0, 1, (3,), "int32"),
        ValueError,
        "`dtype` must be one of float32, float64, float16, bfloat16, complex64, complex128, got int32",
    ),
    (
        lambda: TorchGenerator(0).trunc_normal(0, 1, -1, 1, (3,), "complex64"),
        ValueError,
        "`dtype` must be real for a truncated_normal distribution, as in torch, got complex64",
    ),
    (lambda: TorchGenerator(0).trunc_normal(0, 0, -1, 1, (3,)), ValueError, "`std` must be above 0, got 0.0"),
    (
        lambda: TorchGenerator(0).trunc_normal(0, 1, 2, 1, (3,)),
        ValueError,
        "`a` must not exceed `b`, got a=2.0 and b=1.0",
    ),
    (
        lambda: TorchGenerator(0).trunc_normal(0, 1, 2, math.inf, (3,)),
        ValueError,
        "`a` and `b` must be finite where they hold at most 0.3 of the normal distribution, got a=2.0 and b=inf",
    ),
    (lambda: TorchGenerator(0).randperm(-1), ValueError, "`n` must be at least 0 and below 214748364, got -1"),
    (lambda: TorchGenerator(0).randperm(3, first=4), ValueError, "`first` must be between 0 and n=3, got 4"),
]


def test_repr_is_the_call_that_builds_it() -> None:
    assert repr(TorchGenerator(-1)) == "jaxinit.TorchGenerator(18446744073709551615)"


@pytest.mark.parametrize(("call", "error", "message"), ERRORS)
def test_errors(call: Callable[[], object], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=re.escape(message)):
        call()
