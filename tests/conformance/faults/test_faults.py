import dataclasses

import pytest

import jaxinit
from jaxinit_conformance import suite
from jaxinit_conformance.faults import catch
from jaxinit_conformance.faults.fault import Fault, ModuleFault
from jaxinit_conformance.faults.replay_faults import ReplayFault
from jaxinit_conformance.targets import Target


@pytest.mark.parametrize("fault", catch.FAULTS, ids=lambda fault: f"{fault.name} in {fault.initializer}")
def test_every_planted_fault_is_caught_where_it_is(fault: Fault, seed: int) -> None:
    caught = catch.catch(fault, seed)
    assert caught.check is not None
    assert caught.check.initializer == fault.initializer


def sound(fault: Fault) -> Fault:
    """The same without the mistake."""
    if isinstance(fault, ReplayFault):
        others = {"TorchGenerator": jaxinit.TorchGenerator, "nnx": jaxinit.nnx}
        return dataclasses.replace(fault, mistake=getattr(jaxinit, fault.initializer, None), others=others)
    right = jaxinit.nnx if isinstance(fault, ModuleFault) else getattr(jaxinit, fault.initializer)
    return dataclasses.replace(fault, mistake=right)


def test_without_a_fault_the_same_checks_pass(seed: int) -> None:
    for fault in {(fault.initializer, type(fault)): fault for fault in catch.FAULTS}.values():
        claims = "|".join(other.claims for other in catch.FAULTS if other.initializer == fault.initializer)
        whole = dataclasses.replace(sound(fault), claims=claims)
        assert catch.catch(whole, seed).check is None


def test_there_are_at_least_thirty() -> None:
    assert len(catch.FAULTS) >= 30
    assert len({(fault.name, fault.initializer) for fault in catch.FAULTS}) == len(catch.FAULTS)


def test_a_quick_run_has_fewer_statistical_checks_than_faults_are_rated_for() -> None:
    checks, _ = suite.plan(Target("jaxinit", jaxinit), 0, quick=True)
    assert sum(check.statistical for check in checks) <= suite.QUICK_CHECKS
