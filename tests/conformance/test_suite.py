"""The suite judges by what a target does: faults are found where they are, and a crash is a finding."""

import html
import json
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

import jaxinit
from jaxinit_conformance import suite, targets
from jaxinit_conformance.checks import cases
from jaxinit_conformance.reference import torch_init
from jaxinit_conformance.report import topics
from jaxinit_conformance.report.write import write_report
from jaxinit_conformance.statistics.tests import RATES, ChiSquare
from jaxinit_conformance.targets import Init, Target

SEED = 20_240_229  # any other will do


def target(**replaced: Callable[..., Any]) -> Target:
    """jaxinit with some factories replaced, as a namespace that states no distribution of its own."""
    names = {name: getattr(jaxinit, name) for name in jaxinit.__all__}
    return Target("planted", types.SimpleNamespace(**{**names, **replaced}))


def test_a_target_that_raises_fails_its_own_checks_alone() -> None:
    def zeros() -> Init:
        raise RuntimeError("<script>not here</script>")

    found = suite.run(target(zeros=zeros), SEED, quick=True, select="^(zeros|ones): equal")
    assert {check.initializer for check, _ in found.failures} == {"zeros"}
    assert all("RuntimeError" in str(result.observed) for _, result in found.failures)


def test_what_a_target_says_is_escaped(tmp_path: Any) -> None:
    def zeros() -> Init:
        raise RuntimeError("<script>not here</script>")

    write_report(suite.run(target(zeros=zeros), SEED, quick=True, select="^zeros: equal"), [], tmp_path)
    assert "<script>not" not in (tmp_path / "report.html").read_text()
    assert "&lt;script&gt;not" in (tmp_path / "report.html").read_text()
    assert "<script>" not in (tmp_path / "report.md").read_text()


def test_control_characters_are_shown_in_all_reports(tmp_path: Path) -> None:
    def zeros() -> Init:
        raise RuntimeError("a\0b\x1b[2J")

    write_report(suite.run(target(zeros=zeros), SEED, quick=True, select="^zeros: equal"), [], tmp_path)
    ElementTree.parse(tmp_path / "junit.xml")
    assert json.loads((tmp_path / "report.json").read_text())["checks"]
    for path in tmp_path.iterdir():
        page = path.read_text(encoding="utf-8")
        assert page.replace("\n", "").isprintable()
        assert r"a\x00b\x1b[2J" in html.unescape(page).replace("\\\\", "\\")


@pytest.mark.parametrize("name", ["jaxinit", "torch", "jax.nn.initializers"])
def test_each_claim_has_a_topic(name: str) -> None:
    planned, _ = suite.plan(targets.load(name), SEED)
    assert all(topics.topic_of(check.claim).failure for check in planned)
    with pytest.raises(LookupError, match="no topic has the claim 'beauty'"):
        topics.topic_of("beauty")


def test_failures_are_grouped_by_topic(tmp_path: Path) -> None:
    found = suite.run(target(zeros=jaxinit.ones), SEED, quick=True, select="^zeros: (equal|present|signature)")
    write_report(found, [], tmp_path)
    page = (tmp_path / "report.html").read_text()
    assert "Arrays that are not random differ from torch" in page
    assert page.count("<h3>") == 1


def test_absent_names_are_reported() -> None:
    namespace = types.SimpleNamespace(zeros=jaxinit.zeros)
    found = suite.run(Target("partial", namespace), SEED, quick=True, select=": present")
    absent = {check.initializer for check, result in found.failures if result.observed == "absent"}
    assert absent == set(torch_init.initializers()) - {"zeros"}


def test_one_check_is_judged_as_a_run_of_all_judges_it() -> None:
    some = suite.run(target(), SEED, quick=True, select=r"^normal: (scale|shape|mean) \[io 96x144 float32")
    one = suite.run(target(), SEED, quick=True, select=r"^normal: scale \[io 96x144 float32")
    assert one.results == [result for result in some.results if result[0].claim == "scale"]


def test_rates_are_split_over_all_checks() -> None:
    checks, _ = suite.plan(target(), SEED, quick=True)
    ((_, result),) = suite.run(target(), SEED, quick=True, select=r"^normal: scale \[io 96x144 float32\]").results
    rates = RATES.over(sum(check.statistical for check in checks))
    assert result.detectable == ChiSquare().detectable(result.samples or 0, rates)


def test_what_else_is_called_distribution_or_nnx_is_not_asked() -> None:
    class Foreign:
        distribution = "normal"

        def __call__(self, key: Any, shape: Any, dtype: Any) -> Any:
            return jaxinit.normal()(key, shape, dtype)

    namespace = types.SimpleNamespace(normal=lambda mean=0.0, std=1.0: Foreign(), nnx=types.SimpleNamespace())
    checks, _ = suite.plan(Target("foreign", namespace), SEED, quick=True)
    claims = {check.claim for check in checks if check.initializer == "normal"}
    assert "mean" in claims
    assert "distribution" not in claims
    assert not any(check.initializer.startswith("nn.") for check in checks)


@pytest.mark.parametrize("name", torch_init.initializers())
def test_every_initializer_has_cases_quick_and_full(name: str) -> None:
    for quick in (True, False):
        assert any(case.initializer == name for kind in cases.everything(quick, True).values() for case in kind)
