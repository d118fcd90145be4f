"""A TorchGenerator in place of a key: torch's numbers for torch's array, in your layout, by every initializer.

That they are torch's in many sizes is for the suite's section on replay to show. Here, that
they come through each initializer, and what is refused.
"""

import math
import re
import warnings
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from jax.sharding import AxisType, NamedSharding, PartitionSpec

import jaxinit
from jaxinit import TorchGenerator
from tests.jaxinit import cases
from tests.jaxinit.torch_generator.torch_streams import DTYPES, as_on_avx2, assert_same_state


def generators(seed: int) -> tuple[TorchGenerator, torch.Generator]:
    """Ours, and torch's global one."""
    return TorchGenerator(seed), torch.manual_seed(seed)


def torchs(name: str, shape: tuple[int, ...], dtype: str = "float32") -> np.ndarray:
    """What torch's function makes, in float64."""
    needed = {"constant": {"val": 0.3}, "sparse": {"sparsity": 0.3}}.get(name, {})
    tensor = cases.torch_function(name)(torch.empty(shape, dtype=getattr(torch, dtype)), **needed)
    values: np.ndarray = tensor.double().numpy()
    return values


def assert_torchs(name: str, ours: Any, theirs: np.ndarray) -> None:
    np.testing.assert_array_equal(np.asarray(ours).astype(np.float64), theirs, err_msg=name, strict=True)


def in_flax(name: str, theirs: np.ndarray) -> np.ndarray:
    """torch's array in Flax's axes, where the initializer looks at axes."""
    return np.moveaxis(theirs, (1, 0), (-2, -1)) if name in cases.WITH_LAYOUT else theirs


def torch_shape_of(name: str) -> tuple[int, ...]:
    shape = cases.shape_of(name)
    return (shape[-1], shape[-2], *shape[:-2]) if name in cases.WITH_LAYOUT else shape


@as_on_avx2
@pytest.mark.usefixtures("torchs_qr")
@pytest.mark.parametrize(
    ("name", "dtype"),
    # torch has no QR in 16 bits
    [(name, dtype) for name in cases.NAMES for dtype in DTYPES if name != "orthogonal" or "16" not in dtype],
)
def test_every_initializer_takes_it(name: str, dtype: str, seed: int) -> None:
    ours, theirs = generators(seed)
    with jax.enable_x64(True):
        drawn = cases.build(name)(ours, cases.shape_of(name), dtype)
    assert isinstance(drawn, jax.Array)
    assert drawn.dtype == dtype
    assert_torchs(name, drawn, in_flax(name, torchs(name, torch_shape_of(name), dtype)))
    assert_same_state(ours, theirs)


@cases.each_name
def test_what_is_not_random_takes_nothing_from_it(name: str, seed: int) -> None:
    generator = TorchGenerator(seed)
    cases.build(name)(generator, cases.shape_of(name))
    assert (generator.get_state() == TorchGenerator(seed).get_state()).all() == (name in cases.NOT_RANDOM)


@pytest.mark.parametrize("name", ["orthogonal", "normal", "dirac"])
def test_its_own_dtype_is_the_default(name: str, seed: int) -> None:
    init = cases.build(name, dtype="bfloat16")
    assert init(TorchGenerator(seed), cases.shape_of(name)).dtype == jnp.bfloat16


LAYOUTS: list[tuple[jaxinit.Layout, tuple[int, ...]]] = [
    (jaxinit.FLAX, (3, 2, 6, 9)),
    (jaxinit.TORCH, (9, 6, 3)),
    (jaxinit.FLAX_CONV_TRANSPOSE, (3, 2, 6, 9)),
    (jaxinit.Layout(in_axis=0, out_axis=(1, 2)), (7, 3, 5)),
    (jaxinit.Layout(in_axis=(0, 1), out_axis=2), (3, 5, 7)),
    (jaxinit.Layout(batch_axis=0), (4, 6, 19)),
    (jaxinit.Layout(in_axis=2, out_axis=0, batch_axis=(3, 1)), (5, 2, 17, 3)),
]


def torch_takes(name: str, layout: jaxinit.Layout, shape: tuple[int, ...]) -> bool:
    """dirac is for convolutions, eye and sparse for matrices."""
    is_matrix = len(layout.view(shape).weight) == 2
    return not is_matrix if name == "dirac" else is_matrix or name not in ("sparse", "eye")


WEIGHTS = [(name, *where) for name in cases.WITH_LAYOUT for where in LAYOUTS if torch_takes(name, *where)]


@as_on_avx2
@pytest.mark.usefixtures("torchs_qr")
@pytest.mark.parametrize(("name", "layout", "shape"), WEIGHTS, ids=str)
def test_layouts_stacked_weights_one_after_the_other(
    name: str, layout: jaxinit.Layout, shape: tuple[int, ...], seed: int
) -> None:
    view = layout.view(shape)
    ours, theirs = generators(seed)
    drawn = cases.build(name, layout=layout)(ours, shape)
    expected = [torchs(name, view.weight) for _ in range(math.prod(view.batch))]
    assert_torchs(name, layout.to_torch(drawn), np.stack(expected).reshape(view.torch_shape))
    assert_same_state(ours, theirs)


@pytest.mark.parametrize("kinds", [AxisType.Auto, AxisType.Explicit])
@cases.each_name
def test_it_is_laid_out_on_eight_devices(name: str, kinds: AxisType, seed: int) -> None:
    mesh, shape = jax.make_mesh((4, 2), ("x", "y"), axis_types=(kinds, kinds)), cases.shape_of(name)
    sharding = NamedSharding(mesh, PartitionSpec(*[None] * (len(shape) - 2), "x", "y"))
    init = cases.build(name)
    alone = init(TorchGenerator(seed), shape)
    with jax.set_mesh(mesh):
        for asked in (sharding, sharding.spec):
            drawn = init(TorchGenerator(seed), shape, None, asked)
            assert drawn.sharding.is_equivalent_to(sharding, len(shape))
            cases.assert_same(name, drawn, alone)
    with pytest.raises(TypeError, match="`out_sharding` must be"):
        init(TorchGenerator(seed), shape, None, "x")  # type: ignore[arg-type]  # which is refused


@pytest.mark.parametrize("shape", [(0, 4), (4, 0), (0, 0)], ids=str)
@pytest.mark.parametrize("name", [name for name in cases.NAMES if name != "dirac"])
def test_empty_arrays_take_nothing(name: str, shape: tuple[int, int], seed: int) -> None:
    ours, theirs = generators(seed)
    init = cases.build(name)
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        assert init(ours, shape).shape == shape
    with warnings.catch_warnings(record=True) as expected:
        warnings.simplefilter("always")
        init(jax.random.key(0), shape)
    assert_same_state(ours, theirs)
    assert [str(warning.message) for warning in seen] == [str(warning.message) for warning in expected]
    assert {warning.filename for warning in seen} <= {__file__}


@pytest.mark.parametrize("name", cases.WITH_LAYOUT)
def test_an_empty_stack_takes_nothing(name: str, seed: int) -> None:
    generator = TorchGenerator(seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        shape = (0, *cases.shape_of(name))
        assert cases.build(name, layout=jaxinit.Layout(batch_axis=0))(generator, shape).shape == shape
    np.testing.assert_array_equal(generator.get_state(), TorchGenerator(seed).get_state())


def scanned(draw: Callable[[], jax.Array]) -> Any:
    return jax.lax.scan(lambda carry, _: (carry, draw()), 0, length=2)


@pytest.mark.parametrize(
    "trace",
    [lambda draw: jax.jit(draw)(), jax.eval_shape, scanned],
    ids=["jit", "eval_shape", "scan"],
)
@pytest.mark.parametrize("name", cases.RANDOM)
def test_a_trace_is_refused(name: str, trace: Callable[[Callable[[], jax.Array]], Any], seed: int) -> None:
    generator = TorchGenerator(seed)
    with pytest.raises(TypeError, match=r"`key` must be a JAX PRNG key under jit.*initialise outside and pass the arr"):
        trace(lambda: cases.build(name)(generator, cases.shape_of(name)))
    np.testing.assert_array_equal(generator.get_state(), TorchGenerator(seed).get_state())


@pytest.mark.parametrize("name", sorted({*cases.NAMES} - {*cases.RANDOM}))
def test_constants_need_no_numbers_and_may_be_traced(name: str, seed: int) -> None:
    generator, shape = TorchGenerator(seed), cases.shape_of(name)
    drawn = jax.jit(lambda: cases.build(name)(generator, shape))()
    assert (drawn == cases.build(name)(jax.random.key(0), shape)).all()


@pytest.mark.parametrize("dtype", ["float8_e4m3fn", "float8_e5m2"])
def test_orthogonal_is_computed_in_float32_and_rounded_once(dtype: str, seed: int) -> None:
    wide, narrow = (jaxinit.orthogonal()(TorchGenerator(seed), (9, 6), each) for each in ("float32", dtype))
    assert (narrow == wide.astype(dtype)).all()


@pytest.mark.parametrize(
    ("name", "dtype"),
    [
        (name, dtype)
        for name in cases.RANDOM
        for dtype in ("float8_e4m3fn", "float8_e5m2", "int32", "bool")
        if (name, dtype[:6]) != ("orthogonal", "float8")
    ],
)
def test_other_dtypes_are_refused(name: str, dtype: str, seed: int) -> None:
    generator = TorchGenerator(seed)
    allowed = (
        r"(one of float32, float64, float16, bfloat16, complex64, complex128|a signed floating or complex dtype.*)"
    )
    with pytest.raises(ValueError, match=rf"`dtype` must be {allowed}, got {dtype}"):
        cases.build(name)(generator, cases.shape_of(name), dtype)
    np.testing.assert_array_equal(generator.get_state(), TorchGenerator(seed).get_state())


ERRORS: list[tuple[jaxinit.Initializer, tuple[int, ...]]] = [
    (jaxinit.kaiming_uniform(), (5,)),
    (jaxinit.xavier_normal(), ()),
    (jaxinit.orthogonal(), (5,)),
    (jaxinit.sparse(0.1), (2, 3, 4)),
    (jaxinit.eye(), (2, 3, 4)),
    (jaxinit.dirac(groups=2), (3, 4, 5)),
    (jaxinit.normal(), (2, -1)),
    (jaxinit.composed.with_zero_row(jaxinit.normal(), 7), (3, 4)),
    (jaxinit.composed.concatenated((jaxinit.zeros(), jaxinit.normal())), (2, 5)),
]


@pytest.mark.parametrize(("init", "shape"), ERRORS, ids=str)
def test_shapes_are_refused_as_with_keys(init: jaxinit.Initializer, shape: tuple[int, ...], seed: int) -> None:
    with pytest.raises(ValueError, match="`") as with_key:
        init(jax.random.key(0), shape)
    with pytest.raises(ValueError, match=f"^{re.escape(str(with_key.value))}$"):
        init(TorchGenerator(seed), shape)


@as_on_avx2
def test_composed_initializers_draw_as_torchs_modules_do(seed: int) -> None:
    ours, theirs = generators(seed)
    padded = jaxinit.composed.with_zero_row(jaxinit.normal(), 2)(ours, (6, 4))
    assert_torchs("normal", padded, torch.nn.Embedding(6, 4, padding_idx=2).weight.detach().double().numpy())
    summed = jaxinit.composed.sum_of_uniforms(-0.2, 0.2)(ours, (9,))
    biases = [torch.empty(9).uniform_(-0.2, 0.2) for _ in range(2)]
    assert_torchs("uniform", summed, (biases[0] + biases[1]).double().numpy())
    gates = jaxinit.composed.concatenated((jaxinit.uniform(), jaxinit.ones(), jaxinit.normal()))(ours, (2, 9))
    parts = [torch.rand(2, 3), torch.ones(2, 3), torch.randn(2, 3)]
    assert_torchs("concatenated", gates, torch.cat(parts, 1).double().numpy())
    assert_same_state(ours, theirs)


@as_on_avx2
def test_two_libraries_share_one_stream(seed: int) -> None:
    """Handed over in mid-stream, the cached normal number included."""
    reference = torch.Generator().manual_seed(seed)
    expected = [torch.randn(size, generator=reference).numpy() for size in (3, 20, 5)]
    theirs = torch.Generator().manual_seed(seed)
    torch.randn(3, generator=theirs)
    ours = TorchGenerator.from_state(theirs.get_state())
    np.testing.assert_array_equal(jaxinit.normal()(ours, (20,)), expected[1])
    theirs.set_state(torch.from_numpy(ours.get_state()))
    np.testing.assert_array_equal(torch.randn(5, generator=theirs).numpy(), expected[2])


@pytest.mark.parametrize(
    "init", [jaxinit.normal(), jaxinit.uniform(), jaxinit.kaiming_normal(layout=jaxinit.TORCH)], ids=str
)
def test_jax_takes_the_buffer_of_the_generator_without_a_copy(init: jaxinit.Initializer, seed: int) -> None:
    filled: list[np.ndarray] = []

    class Recording(TorchGenerator):
        def fill(self, *arguments: Any) -> np.ndarray:
            filled.append(super().fill(*arguments))
            return filled[-1]

    drawn = init(Recording(seed), (64, 32))
    assert drawn.unsafe_buffer_pointer() == filled[0].ctypes.data
