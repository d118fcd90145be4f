"""The suite judges by what a target does: faults are found where they are, and a crash is a finding."""

import types
from collections.abc import Callable
from typing import Any

import jax
import pytest

import jaxinit
from conformance import cases, report, suite
from conformance.targets import Init, Target

SEED = 20_240_229  # any other will do


def target(**replaced: Callable[..., Any]) -> Target:
    """jaxinit with some factories replaced, as a namespace that states no distribution of its own."""
    names = {name: getattr(jaxinit, name) for name in jaxinit.__all__}
    return Target("planted", types.SimpleNamespace(**{**names, **replaced}))


def opaque(init: Init) -> Init:
    return lambda key, shape, dtype: init(key, shape, dtype)


def failed_claims(planted: Target, select: str) -> set[str]:
    found = suite.run(planted, SEED, quick=True, select=select)
    assert found.results
    return {check.claim for check, _ in found.failures}


def test_fans_exchanged() -> None:
    def kaiming_uniform(mode: str = "fan_in", **arguments: Any) -> Init:
        other = {"fan_in": "fan_out", "fan_out": "fan_in"}[mode]
        return opaque(jaxinit.kaiming_uniform(mode=other, **arguments))  # type: ignore[arg-type]

    assert {"mean", "shape", "bounds"} & failed_claims(
        target(kaiming_uniform=kaiming_uniform), "^kaiming_uniform: (shape|bounds) "
    )


def test_bound_off_by_a_thousandth() -> None:
    planted = target(uniform=lambda a=0.0, b=1.0: opaque(jaxinit.uniform(a, a + (b - a) * 0.999)))
    assert "bounds" in failed_claims(planted, "^uniform: bounds")


def test_scale_off_by_a_hundredth() -> None:
    planted = target(normal=lambda mean=0.0, std=1.0: opaque(jaxinit.normal(mean, std * 1.01)))
    assert "scale" in failed_claims(planted, r"^normal: scale \[io")


def test_one_key_for_all() -> None:
    init = jaxinit.normal()
    planted = target(normal=lambda **_: lambda key, shape, dtype: init(jax.random.key(0), shape, dtype))
    assert {"keys", "neighbours along keys"} <= failed_claims(planted, "^normal: (keys|neighbours)")


def test_orthogonal_without_the_signs() -> None:
    def orthogonal(gain: float = 1.0) -> Init:
        return lambda key, shape, dtype: gain * jax.numpy.linalg.qr(jax.random.normal(key, shape, dtype))[0]

    found = failed_claims(target(orthogonal=orthogonal), r"^orthogonal: (Haar|det|orthonormal) .*io 3x3")
    assert any(claim.startswith("Haar") for claim in found) or "determinant sign" in found


def test_a_target_that_raises_fails_its_own_checks_alone() -> None:
    def zeros() -> Init:
        raise RuntimeError("<script>not here</script>")

    found = suite.run(target(zeros=zeros), SEED, quick=True, select="^(zeros|ones): equal")
    assert {check.initializer for check, _ in found.failures} == {"zeros"}
    assert all("RuntimeError" in str(evidence.observed) for _, evidence in found.failures)


def test_what_a_target_says_is_escaped(tmp_path: Any) -> None:
    def zeros() -> Init:
        raise RuntimeError("<script>not here</script>")

    report.write(suite.run(target(zeros=zeros), SEED, quick=True, select="^zeros: equal"), tmp_path)
    assert "<script>not" not in (tmp_path / "report.html").read_text()
    assert "&lt;script&gt;not" in (tmp_path / "report.html").read_text()


def test_absent_names_are_reported() -> None:
    namespace = types.SimpleNamespace(zeros=jaxinit.zeros)
    found = suite.run(Target("partial", namespace), SEED, quick=True, select=": present")
    absent = {check.initializer for check, evidence in found.failures if evidence.observed == "absent"}
    assert absent == set(suite.reference.initializers()) - {"zeros"}


def test_rates_are_split_over_the_checks_that_run() -> None:
    one = suite.run(target(), SEED, quick=True, select=r"^normal: scale \[io 96x144 float32")
    more = suite.run(target(), SEED, quick=True, select=r"^normal: (scale|shape|mean) \[io 96x144 float32")
    samples = {check.claim: evidence.samples for check, evidence in more.results}
    assert [check.claim for check, _ in one.results] == ["scale"]
    assert (one.results[0][1].samples or 0) < (samples["scale"] or 0)


@pytest.mark.parametrize("name", suite.reference.initializers())
def test_every_initializer_has_cases_quick_and_full(name: str) -> None:
    for quick in (True, False):
        assert any(case.initializer == name for kind in cases.everything(quick, True).values() for case in kind)
