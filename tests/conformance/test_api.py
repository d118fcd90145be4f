import types
from typing import Any

import jax
import pytest

import jaxinit
import jaxinit_conformance
from jaxinit._initializers.base import Elementwise
from tests.jaxinit.draws import FALSE_ALARM


def test_a_namespace_can_be_given_by_itself() -> None:
    namespace = types.SimpleNamespace(__name__="mine", zeros=jaxinit.zeros, ones=jaxinit.zeros)
    report = jaxinit_conformance.run(namespace, select="^(zeros|ones): equal")
    assert report.target == "mine"
    assert {check.initializer for check, _ in report.failures} == {"ones"}


@pytest.mark.parametrize(
    "init",
    [
        jaxinit.normal(0.3, 0.02),
        jaxinit.uniform(-0.1, 0.3),
        jaxinit.trunc_normal(std=0.02, a=-0.04, b=0.04),
        jaxinit.kaiming_uniform(),
    ],
    ids=repr,
)
def test_initializers_draw_what_they_state(init: Elementwise) -> None:
    shape = (96, 144)
    jaxinit_conformance.assert_conforms(init, init.distribution(shape), shape, false_alarm=FALSE_ALARM)


@pytest.mark.parametrize("dtype", ["bfloat16", "float8_e4m3fn", "float8_e5m2"])
@pytest.mark.parametrize("shape", [(32,), (96, 144)])
@pytest.mark.parametrize("init", [jaxinit.uniform(), jaxinit.normal(), jaxinit.trunc_normal()], ids=repr)
def test_rounding_raises_no_alarm(init: Elementwise, shape: tuple[int, ...], dtype: str) -> None:
    jaxinit_conformance.assert_conforms(init, init.distribution(shape), shape, dtype, false_alarm=FALSE_ALARM)


def test_a_default_dtype_is_that_of_the_caller() -> None:
    jaxinit_conformance.assert_conforms(
        lambda key, shape, _: jax.random.normal(key, shape), jaxinit.normal().distribution(()), false_alarm=FALSE_ALARM
    )


@pytest.mark.parametrize(
    ("init", "stated", "claim"),
    [
        (jaxinit.normal(0.01, 1.0), jaxinit.normal(), "mean"),
        (jaxinit.normal(0.0, 1.02), jaxinit.normal(), "scale"),
        (jaxinit.uniform(0.0, 1.01), jaxinit.uniform(), "support"),
        (jax.nn.initializers.kaiming_normal(), jaxinit.kaiming_normal(), "moment 4"),
        (jax.nn.initializers.truncated_normal(0.5), jaxinit.trunc_normal(std=0.5, a=-2.0, b=2.0), "shape"),
    ],
)
def test_a_deviation_is_named(init: jax.nn.initializers.Initializer, stated: Elementwise, claim: str) -> None:
    distribution = stated.distribution((96, 144))
    with pytest.raises(AssertionError, match=f"(?m)^{claim}: got"):
        jaxinit_conformance.assert_conforms(init, distribution, miss=FALSE_ALARM)


@pytest.mark.parametrize("dtype", ["float64", "float32", "bfloat16"])
@pytest.mark.parametrize("shape", [(1,), (3, 5)])
def test_constants_are_compared_entry_by_entry(shape: tuple[int, ...], dtype: str) -> None:
    stated = jaxinit.constant(0.3).distribution(shape)
    jaxinit_conformance.assert_conforms(jaxinit.constant(0.3), stated, shape, dtype)
    jaxinit_conformance.assert_conforms(jax.nn.initializers.zeros, jaxinit.zeros().distribution(shape), shape, dtype)
    with pytest.raises(AssertionError, match=r"(?m)^equal: got \d+ different, expected 0 of \d+ different from 0.3"):
        jaxinit_conformance.assert_conforms(jaxinit.constant(0.302), stated, shape, dtype)


@pytest.mark.parametrize("init", [jaxinit.uniform(0.3, 0.3), jaxinit.normal(0.3, 0.0)], ids=repr)
def test_a_distribution_without_width_is_a_constant(init: Elementwise) -> None:
    jaxinit_conformance.assert_conforms(init, init.distribution((3,)))


NORMAL = jaxinit.normal()


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"shape": ()}, ValueError, r"`shape` must be a sequence of at least one size, each at least 2, got \(\)"),
        ({"shape": (0, 3)}, ValueError, r"`shape` must .* got \(0, 3\)"),
        ({"shape": (1, 3)}, ValueError, r"`shape` must .* got \(1, 3\)"),
        ({"shape": (2.0, 3)}, ValueError, r"`shape` must .* got \(2\.0, 3\)"),
        ({"shape": 5}, ValueError, "`shape` must .* got 5"),
        ({"dtype": "int32"}, ValueError, "`dtype` must be a real floating dtype, got 'int32'"),
        ({"dtype": "float33"}, ValueError, "`dtype` must .* got 'float33'"),
        ({"init": None}, TypeError, "`init` must .* got None"),
        ({"distribution": None}, TypeError, r"`distribution` must be what `init.distribution\(shape\)` .* got None"),
        ({"distribution": NORMAL}, TypeError, "`distribution` must .* got jaxinit.normal"),
        ({"false_alarm": 0}, ValueError, "`false_alarm` must be between 0 and 1, both excluded, got 0"),
        ({"false_alarm": float("nan")}, ValueError, "`false_alarm` must .* got nan"),
        ({"miss": 1.0}, ValueError, r"`miss` must .* got 1\.0"),
        ({"miss": "1e-6"}, ValueError, "`miss` must .* got '1e-6'"),
        ({"seed": -1}, ValueError, "`seed` must be an integer from 0 to 2147483647, got -1"),
        ({"seed": 1.5}, TypeError, r"`seed` must .* got 1\.5"),
    ],
)
def test_arguments_that_mean_nothing_are_refused(
    arguments: dict[str, Any], error: type[Exception], message: str
) -> None:
    given = {"init": NORMAL, "distribution": NORMAL.distribution(()), **arguments}
    with pytest.raises(error, match=message):
        jaxinit_conformance.assert_conforms(**given)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"target": None}, TypeError, "`target` must be a namespace .* got None"),
        ({"seed": 2**70}, ValueError, f"`seed` must be an integer from 0 to 2147483647, got {2**70}"),
        ({"seed": "7"}, TypeError, "`seed` must .* got '7'"),
        ({"select": "zzz"}, ValueError, "`select` must match the id of a check, got 'zzz'"),
        ({"select": "("}, ValueError, r"`select` must be a regular expression, got '\('"),
    ],
)
def test_a_run_that_means_nothing_is_refused(arguments: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        jaxinit_conformance.run(**arguments)


def test_other_names_are_refused() -> None:
    with pytest.raises(AttributeError, match="no_such_thing"):
        jaxinit_conformance.__getattr__("no_such_thing")
