"""A recorded model and the model that torch builds from the same seed are one."""

import random
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from torch import nn

import jaxinit
from jaxinit.distributions import Constant, Normal, TruncatedNormal, Uniform
from tests.jaxinit.recipes.models import MODELS
from tests.jaxinit.torch_generator.torch_streams import as_on_avx2

RECIPES: dict[str, jaxinit.Recipe] = {}


def recipe(name: str) -> jaxinit.Recipe:
    """Record each model once."""
    if name not in RECIPES:
        RECIPES[name] = jaxinit.record(MODELS[name])
    return RECIPES[name]


# What torch computes by functions that NumPy rounds otherwise: erfinv, exp, sums. All but erfinv in float64, where
# rounding stays small even after draws that enlarge it: numbers nearly equal, of which the std is near 0, and vectors
# nearly orthogonal to the singular one, from which power iterations begin.
IN_FLOAT64 = {"arithmetic", "more_arithmetic", "parametrized"}
NEARLY = {"truncated_by_erfinv", *IN_FLOAT64}
TOLERANCES = {"float32": 2.0**-20, "float64": 1e-8}


@as_on_avx2
@pytest.mark.usefixtures("torchs_qr")
@pytest.mark.parametrize("name", MODELS)
def test_from_a_seed_it_is_the_model_that_torch_builds(name: str, seed: int) -> None:
    with default_dtype(torch.float64 if name in IN_FLOAT64 else torch.float32):
        recorded = jaxinit.record(MODELS[name])
        torch.manual_seed(seed)
        state = MODELS[name]().state_dict()
        expected = torch.rand(3).numpy()
    generator = jaxinit.TorchGenerator(seed)
    with jax.enable_x64(True):
        ours = recorded.sample(generator)
    assert list(ours) == list(dict.fromkeys([*ours, *state]))
    np.testing.assert_array_equal(generator.uniform(0, 1, (3,), expected.dtype), expected)
    for key, tensor in state.items():
        wide = torch.complex128 if tensor.is_complex() else torch.float64
        theirs = tensor.to(wide).numpy()
        array = np.asarray(ours[key]).astype(theirs.dtype)
        assert str(ours[key].dtype) == str(tensor.dtype).removeprefix("torch."), key
        tolerance = TOLERANCES[str(ours[key].dtype)] * max(1.0, abs(theirs).max()) if name in NEARLY else 0
        np.testing.assert_allclose(array, theirs, rtol=0, atol=tolerance, err_msg=key)


@contextmanager
def default_dtype(dtype: torch.dtype) -> Iterator[None]:
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize("name", MODELS)
def test_every_parameter_and_buffer_is_there_once(name: str) -> None:
    model = MODELS[name]()
    tensors = {id(t): t for t in (*model.parameters(), *model.buffers())}
    recorded = recipe(name).parameters
    assert len(recorded) == len(tensors)
    names = {n for n, _ in model.named_parameters(remove_duplicate=False)}
    names |= {n for n, _ in model.named_buffers(remove_duplicate=False)}
    assert {n for p in recorded for n in (p.name, *p.aliases)} == names
    for parameter in recorded:
        tensor = dict([*model.named_parameters(), *model.named_buffers()])[parameter.name]
        assert parameter.shape == tuple(tensor.shape)
        assert parameter.dtype == str(tensor.dtype).removeprefix("torch.")


def distributions(name: str) -> dict[str, Any]:
    return {parameter.name: parameter.distribution for parameter in recipe(name).parameters}


def test_distributions_are_exact() -> None:
    found = distributions("every_function")
    assert found["uniform"] == Uniform(-1.0, 2.0)
    assert found["normal"] == Normal(1.0, 0.5)
    assert found["trunc_normal"] == TruncatedNormal(0.0, 0.02, -2.0, 2.0)
    assert found["far"] == TruncatedNormal(0.0, 1.0, 2.0, 3.0)
    assert found["constant"] == Constant(0.3)
    assert found["kaiming_normal"] == Normal(0.0, (2 / 4) ** 0.5)
    assert found["orthogonal"] is found["sparse"] is found["eye"] is None


@pytest.mark.parametrize(
    ("drawn", "distribution"),
    [
        (lambda: (torch.rand(50) * 10).long().float(), None),
        (lambda: (torch.rand(50) * 10).long().div(3, rounding_mode="trunc").float(), None),
        (lambda: torch.rand(50).to(torch.cfloat), None),
        (lambda: torch.randn(50).to(torch.cfloat) * 2, None),
        (lambda: torch.full((50,), 2.7).long().float(), Constant(2.0)),
        (lambda: torch.rand(50).half().float() * 10, Uniform(0.0, 10.0)),
        (lambda: torch.randn(50, dtype=torch.cfloat) * 2, Normal(0.0, 2.0)),
    ],
)
def test_numbers_of_another_kind_have_another_distribution(drawn: Any, distribution: Any, seed: int) -> None:
    def build() -> torch.nn.Module:
        module = torch.nn.Module()
        module.weight = torch.nn.Parameter(drawn())
        return module

    found = jaxinit.record(build)
    assert found.parameters[0].distribution == distribution
    if distribution is None:
        for source in (jax.random.key(seed), jaxinit.TorchGenerator(seed)):
            weight = np.asarray(found.sample(source)["weight"])
            assert not weight.imag.any()
            assert np.iscomplexobj(weight) or (weight == np.trunc(weight)).all()
            assert np.unique(weight).size > 2


def test_a_truncated_normal_by_erfinv_is_recognised() -> None:
    found = distributions("truncated_by_erfinv")
    for name, expected in {
        "wide": (0.0, 0.02, -2.0, 2.0),
        "narrow": (0.1, 0.5, -0.4, 0.6),
        "unit": (0.5, 0.1, 0.3, 0.7),
    }.items():
        normal = found[name]
        assert isinstance(normal, TruncatedNormal)
        np.testing.assert_allclose((normal.loc, normal.scale, *normal.support), expected, rtol=1e-6)


def test_steps_are_told_in_order() -> None:
    weight = next(p for p in recipe("overwritten").parameters if p.name == "first.weight")
    assert [str(step) for step in weight.steps] == [
        "uniform(a=-0.22360679774997894, b=0.22360679774997894), overwritten",
        "normal(mean=0.0, std=0.02)",
    ]
    bias = next(p for p in recipe("slices").parameters if p.name == "bias")
    assert [str(step) for step in bias.steps] == ["normal(mean=0.0, std=1.0)", "[5:10] = fill(1.0)"]
    assert bias.distribution is None


def test_tied_parameters_are_one_array() -> None:
    arrays = recipe("tied_and_copied").sample(jax.random.key(0))
    assert arrays["head.weight"] is arrays["embedding.weight"]
    (tied,) = [p for p in recipe("tied_and_copied").parameters if p.aliases]
    assert (tied.name, tied.aliases, tied.module) == ("embedding.weight", ("head.weight",), "Embedding")


def test_copied_layers_start_equal_as_in_torch() -> None:
    arrays = recipe("tied_and_copied").sample(jax.random.key(0))
    first, second = (arrays[f"encoder.layers.{i}.linear1.weight"] for i in (0, 1))
    assert (first == second).all()
    assert (first != arrays["encoder.layers.0.linear2.weight"].T).any()


def test_computed_buffers_are_recorded_and_not_sampled() -> None:
    kinds = {parameter.name: parameter.kind for parameter in recipe("constants").parameters}
    assert (kinds["positions"], kinds["mask"], kinds["rates"]) == ("computed buffer", "buffer", "parameter")
    assert "positions" not in recipe("constants").sample(jax.random.key(0))


def test_recording_leaves_torch_as_it_was() -> None:
    before, code = torch.get_rng_state(), nn.init.trunc_normal_.__code__
    jaxinit.record(MODELS["every_function"])
    assert torch.equal(before, torch.get_rng_state())
    assert nn.init.trunc_normal_.__code__ is code
    assert type(torch.empty(2)) is torch.Tensor


def test_memory_is_not_needed() -> None:
    recorded = jaxinit.record(lambda: nn.Linear(2**20, 2**20))
    np.testing.assert_allclose(recorded.parameters[0].distribution.support, (-(2.0**-10), 2.0**-10), rtol=1e-12)  # type: ignore[union-attr]


class Odd(nn.Module):
    def __init__(self, fill: Any) -> None:
        super().__init__()
        self.inner = nn.Linear(4, 3)
        self.odd = nn.Parameter(fill())


REFUSED = {
    "a draw without a node": (lambda: torch.empty(5).exponential_(), "odd: Tensor.exponential_ at .*test_record.py"),
    "a function without a node": (lambda: torch.randn(5).sort().values, "odd: aten.sort at .*test_record.py"),
    "values by a mask": (
        lambda: torch.empty(5).normal_().index_put_((torch.tensor([True, False] * 2 + [True]),), torch.rand(3)),
        "odd: aten.index_put at .*test_record.py",
    ),
    "never set": (lambda: torch.empty(5), "odd: some entries are never initialized"),
    "set in part": (lambda: torch.empty(5)[:4].zero_()._base, "odd: some entries are never initialized"),
    "own generator": (
        lambda: torch.empty(5).normal_(generator=torch.Generator().manual_seed(0)),
        "odd: Tensor.normal_ with its own generator at",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_a_recipe_cannot_express_is_named(name: str) -> None:
    fill, message = REFUSED[name]
    with pytest.raises(ValueError, match=message):
        jaxinit.record(lambda: Odd(fill))


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_expressed_can_be_kept_as_a_constant(name: str) -> None:
    recorded = jaxinit.record(lambda: Odd(REFUSED[name][0]), constants="allow")
    arrays = recorded.sample(jax.random.key(0))
    np.testing.assert_array_equal(arrays["odd"], recorded.sample(jax.random.key(1))["odd"])  # NaN where never set
    assert (arrays["inner.weight"] != recorded.sample(jax.random.key(1))["inner.weight"]).all()


def test_a_seed_is_refused_after_a_draw_that_cannot_be_followed() -> None:
    recorded = jaxinit.record(lambda: Odd(lambda: torch.empty(5).exponential_()), constants="allow")
    with pytest.raises(ValueError, match=r"cannot follow Tensor\.exponential_ at"):
        recorded.sample(jaxinit.TorchGenerator(0))


def test_a_seed_is_refused_where_torch_draws_in_an_order_of_its_own() -> None:
    recorded = jaxinit.record(lambda: Odd(lambda: nn.init.trunc_normal_(torch.empty(9, 5).t())))
    assert recorded.parameters[0].distribution == TruncatedNormal(0.0, 1.0, -2.0, 2.0)
    with pytest.raises(ValueError, match=r"cannot follow trunc_normal\(.*\) on a tensor that is not contiguous"):
        recorded.sample(jaxinit.TorchGenerator(0))


def test_a_constructor_that_looks_at_its_draws_is_refused() -> None:
    with pytest.raises(
        ValueError, match=r"reads the values of a tensor that is drawn, by aten\._local_scalar_dense at"
    ):
        jaxinit.record(lambda: Odd(lambda: torch.ones(int(torch.rand(1) * 5))))


def test_values_that_are_read_past_the_recorder_are_found_out() -> None:
    def fill() -> torch.Tensor:
        drawn = torch.zeros(3).normal_()
        return torch.tensor(drawn.tolist())

    with pytest.raises(ValueError, match=r"odd: a constant with NaN, or the values of a drawn tensor read by numpy"):
        jaxinit.record(lambda: Odd(fill))


def restored() -> None:
    with torch.random.fork_rng(devices=[]):
        torch.rand(3)


@pytest.mark.parametrize("change", [lambda: torch.manual_seed(3), lambda: torch.default_generator.seed(), restored])
def test_a_constructor_that_changes_torchs_generator_is_refused(change: Any) -> None:
    message = "`build` must not set torch's seed or restore torch's generator, but the generator was changed before"
    with pytest.raises(ValueError, match=f"{message} `build` returned"):
        jaxinit.record(lambda: Odd(lambda: (change(), torch.ones(3))[1]))
    with pytest.raises(ValueError, match=f"{message} the draw at .*test_record.py"):
        jaxinit.record(lambda: Odd(lambda: (change(), torch.rand(3))[1]))


def test_torchs_generator_may_be_named() -> None:
    recorded = jaxinit.record(lambda: Odd(lambda: torch.empty(3).normal_(generator=torch.default_generator)))
    assert recorded.parameters[0].distribution == Normal(0.0, 1.0)


def test_another_draw_without_a_parameter_refuses_a_seed_alone() -> None:
    recorded = jaxinit.record(lambda: Odd(lambda: (torch.poisson(torch.ones(3)), torch.ones(3))[1]))
    with pytest.raises(ValueError, match=r"cannot follow torch\.poisson at"):
        recorded.sample(jaxinit.TorchGenerator(0))


def test_draws_of_python_and_numpy_are_found() -> None:
    before = random.getstate()
    for draw in (random.random, np.random.standard_normal):  # what a constructor may call
        with pytest.raises(ValueError, match="odd: numbers that Python's or NumPy's generator draws"):
            jaxinit.record(lambda draw=draw: Odd(lambda: torch.tensor([draw()])))  # type: ignore[misc]
    recorded = jaxinit.record(lambda: (random.random(), Odd(lambda: torch.ones(2)))[1])
    assert recorded.parameters[0].distribution == Constant(1.0)
    assert random.getstate() == before
    with pytest.raises(ValueError, match="`build` must return the same model each time"):
        jaxinit.record(lambda: nn.ModuleDict({str(random.random()).replace(".", ""): nn.Linear(2, 3)}))


def test_statistics_that_a_forward_pass_changes_are_named() -> None:
    def build() -> nn.Module:
        layers = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3))
        layers(torch.ones(2, 4))
        return layers

    with pytest.raises(ValueError, match=r"1\.running_mean: aten\.native_batch_norm at .*\n.*1\.running_var"):
        jaxinit.record(build)


def test_a_tensor_that_is_resized_is_refused() -> None:
    with pytest.raises(ValueError, match=r"`build` resizes a tensor, which a recipe cannot express, at .*test_record"):
        jaxinit.record(lambda: Odd(lambda: torch.empty(0).resize_(3).normal_()))


CAST = """
import torch, jaxinit
print(jaxinit.record(lambda: torch.nn.Linear(20, 30).to(torch.bfloat16)).summary())
"""


def test_a_module_is_cast_in_a_fresh_process() -> None:
    """torch keeps weak references to some tensors only when it sees an operation for the first time."""
    done = subprocess.run([sys.executable, "-c", CAST], capture_output=True, text=True, check=False)
    assert done.stdout == "2 parameters; 630 entries in parameters, initialized in 1 way\n", done.stderr


def test_another_device_is_refused() -> None:
    with pytest.raises(ValueError, match="`build` must build the model on the CPU, got weight on meta"):
        jaxinit.record(lambda: nn.Linear(2, 3, device="meta"))


def test_an_operation_whose_shape_depends_on_a_draw_is_refused() -> None:
    with pytest.raises(ValueError, match=r"`build` calls aten\.index\.Tensor at .*test_record.py:\d+, which fails"):
        jaxinit.record(lambda: Odd(lambda: (drawn := torch.randn(5))[drawn > 0]))


def test_arguments_are_checked() -> None:
    with pytest.raises(TypeError, match=r"`build` must return a torch\.nn\.Module, got <class 'int'>"):
        jaxinit.record(lambda: 3)
    with pytest.raises(
        TypeError, match="`build` must be a function that returns a torch module, got the module Linear"
    ):
        jaxinit.record(nn.Linear(2, 3))
    with pytest.raises(ValueError, match="`constants` must be one of 'refuse', 'allow', got 'keep'"):
        jaxinit.record(lambda: nn.Linear(2, 3), constants="keep")  # type: ignore[arg-type]


def test_a_large_constant_needs_no_memory() -> None:
    class Large(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.zeros = nn.Parameter(torch.zeros(2**20, 2**20))
            self.ones = nn.Parameter(torch.ones_like(self.zeros) * 3)

    found = jaxinit.record(Large).parameters
    assert [parameter.distribution for parameter in found] == [Constant(0.0), Constant(3.0)]


def test_dtypes_without_values_in_numpy_are_kept() -> None:
    recorded = jaxinit.record(lambda: Odd(lambda: torch.arange(4.0).to(torch.float8_e4m3fn)))
    assert recorded.sample(jax.random.key(0))["odd"].dtype == jnp.float8_e4m3fn
