import ast
import dataclasses
import inspect
import types

import pytest

import jaxinit
from jaxinit_conformance import suite
from jaxinit_conformance.faults import catch
from jaxinit_conformance.faults.fault import Fault
from jaxinit_conformance.targets import Target


@pytest.mark.parametrize("fault", catch.FAULTS, ids=lambda fault: f"{fault.name} in {fault.initializer}")
def test_every_planted_fault_is_caught_where_it_is(fault: Fault, seed: int) -> None:
    caught = catch.catch(fault, seed)
    assert caught.check is not None
    assert caught.check.initializer == fault.initializer


def sound(fault: Fault) -> Fault:
    """The same row without the fault, for every claim that catches one there."""
    names = {name: getattr(jaxinit, name) for name in vars(fault.namespace)}
    claims = "|".join(other.claims for other in catch.FAULTS if other.initializer == fault.initializer)
    return dataclasses.replace(fault, claims=claims, namespace=types.SimpleNamespace(**names))


@pytest.mark.usefixtures("rare_alarms")
def test_without_a_fault_the_same_checks_pass(seed: int) -> None:
    for fault in {(fault.initializer, *vars(fault.namespace)): fault for fault in catch.FAULTS}.values():
        assert catch.catch(sound(fault), seed).check is None


def test_a_fault_is_a_function_of_at_most_five_lines() -> None:
    for file in catch.FILES:
        for node in ast.walk(ast.parse(inspect.getsource(file))):
            if isinstance(node, ast.FunctionDef) and any(map(_plants, node.decorator_list)):
                body = node.body[1:] if ast.get_docstring(node) else node.body
                assert (body[-1].end_lineno or 0) - body[0].lineno < 5, node.name


def _plants(decorator: ast.expr) -> bool:
    """Whether it names a fault."""
    return isinstance(decorator, ast.Call) and any(isinstance(each, ast.Constant) for each in decorator.args)


def test_there_are_at_least_thirty() -> None:
    assert len(catch.FAULTS) >= 30
    assert len({(fault.name, fault.initializer) for fault in catch.FAULTS}) == len(catch.FAULTS)


def test_a_quick_run_has_fewer_statistical_checks_than_faults_are_rated_for() -> None:
    checks, _ = suite.plan(Target("jaxinit", jaxinit), 0, quick=True)
    assert sum(check.statistical for check in checks) <= suite.QUICK_CHECKS
