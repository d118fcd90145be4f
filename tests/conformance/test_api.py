import types

import jax
import pytest

import conformance
import jaxinit


def test_a_namespace_can_be_given_by_itself() -> None:
    namespace = types.SimpleNamespace(__name__="mine", zeros=jaxinit.zeros, ones=jaxinit.zeros)
    report = conformance.run(namespace, select="^(zeros|ones): equal")
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
def test_initializers_draw_what_they_state(init: jaxinit.Initializer) -> None:
    shape = (96, 144)
    conformance.assert_conforms(init, init.distribution(shape), shape)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("init", "stated", "claim"),
    [
        (jaxinit.normal(0.01, 1.0), jaxinit.normal(), "mean"),
        (jaxinit.normal(0.0, 1.02), jaxinit.normal(), "scale"),
        (jaxinit.uniform(0.0, 1.001), jaxinit.uniform(), "support"),
        (jax.nn.initializers.kaiming_normal(), jaxinit.kaiming_normal(), "moment 4"),
        (jax.nn.initializers.truncated_normal(0.5), jaxinit.trunc_normal(std=0.5, a=-2.0, b=2.0), "shape"),
    ],
)
def test_a_deviation_is_named(init: jax.nn.initializers.Initializer, stated: jaxinit.Initializer, claim: str) -> None:
    distribution = stated.distribution((96, 144))  # type: ignore[attr-defined]
    with pytest.raises(AssertionError, match=f"(?m)^{claim}: got"):
        conformance.assert_conforms(init, distribution)


def test_other_names_are_refused() -> None:
    with pytest.raises(AttributeError, match="no_such_thing"):
        conformance.__getattr__("no_such_thing")
