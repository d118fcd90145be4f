"""The counting, on a suite cut down to two claims. `jaxinit calibrate` measures in full."""

import types

import pytest

import jaxinit
from jaxinit_conformance import suite
from jaxinit_conformance.faults import calibration, catch
from jaxinit_conformance.faults.fault import Fault
from jaxinit_conformance.statistics.tests import Rates
from jaxinit_conformance.targets import Target


def test_true_claims_refused_are_counted_by_claim(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(suite, "RATES", Rates(0.9999, 1e-6))
    only_normal = Target("partial", types.SimpleNamespace(normal=jaxinit.normal))
    found = calibration.Calibration()
    seeds = [seed, seed + 1]
    assert list(calibration.quick_runs(only_normal, seeds, found)) == seeds
    assert set(found.false_alarms) >= {"mean", "scale", "shape"}
    assert all(tally.judged % 2 == 0 for tally in found.false_alarms.values())


def test_missed_faults_are_counted_by_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    harmless = Fault("harmless", "zeros", "equal to torch", types.SimpleNamespace(zeros=jaxinit.zeros))
    caught = Fault("ones for zeros", "zeros", "equal to torch", types.SimpleNamespace(zeros=jaxinit.ones))
    monkeypatch.setattr(catch, "FAULTS", (harmless, caught))
    found = calibration.Calibration()
    assert len(list(calibration.planted([1, 2], found))) == 2
    tallies = {name: (tally.judged, tally.wrong) for name, tally in found.misses.items()}
    assert tallies == {"harmless (zeros)": (2, 2), "ones for zeros (zeros)": (2, 0)}
