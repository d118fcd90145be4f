"""The section on replay: what it covers, what it tells apart, and that it holds where torch's bits are others."""

import os
import re
import subprocess
import sys
import types

import ml_dtypes
import numpy as np
import pytest

import jaxinit
from jaxinit_conformance import suite
from jaxinit_conformance.modules import pairs
from jaxinit_conformance.reference import torch_init
from jaxinit_conformance.replay import bits, calls, claims
from jaxinit_conformance.replay.bits import TO_THE_BIT, BitComparison, Tolerance
from jaxinit_conformance.targets import Target

JAXINIT = Target("jaxinit", jaxinit)


def checked(quick: bool, seed: int = 0) -> set[str]:
    return {check.initializer for check in claims.checks(JAXINIT, seed, quick)}


def test_it_is_part_of_a_run_where_there_is_a_generator() -> None:
    plan = [check for check, _ in suite.run(JAXINIT, 0, quick=True, select="replay seeds").results]
    assert [check.id for check in plan] == ["TorchGenerator: replay seeds [extremes]"]
    without = Target("partial", types.SimpleNamespace(normal=jaxinit.normal))
    assert not list(claims.checks(without, 0, quick=False))


def test_every_initializer_and_every_pair_is_replayed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calls, "SAME_BITS", True)  # elsewhere trunc_normal is not claimed
    everything = {pair.name for pair in (*pairs.LAYERS, *pairs.MODELS)} | set(torch_init.initializers())
    assert checked(quick=False) == everything | {"TorchGenerator", "randperm"}
    assert checked(quick=True) >= {"uniform", "normal", "trunc_normal", "kaiming_uniform", "orthogonal", "sparse"}


def test_a_missing_initializer_is_no_failure(seed: int) -> None:
    namespace = types.SimpleNamespace(TorchGenerator=jaxinit.TorchGenerator, uniform=jaxinit.uniform)
    found = suite.run(Target("partial", namespace), seed, quick=True, select=": replay")
    assert {check.initializer for check, _ in found.results} == {"TorchGenerator", "randperm", "uniform"}
    assert found.conforms, found.failures


def test_ids_are_unique() -> None:
    for quick in (False, True):
        ids = [check.id for check in claims.checks(JAXINIT, 0, quick)]
        assert len(set(ids)) == len(ids)


@pytest.mark.parametrize("level", ["default", "avx2"])
def test_it_holds_at_other_levels_of_instructions(level: str, seed: int) -> None:
    """Where torch's own bits are others, as many as are claimed there."""
    program = (
        "from jaxinit_conformance import suite, targets\n"
        f"found = suite.run(targets.load('jaxinit'), {seed}, quick=True, select=': replay')\n"
        "print(len(found.results), [check.id for check, _ in found.failures])"
    )
    environment = os.environ | {"ATEN_CPU_CAPABILITY": level}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert re.fullmatch(r"\d+ \[\]\n", done.stdout), done.stdout


NEAR = Tolerance(1e-3, "at most 0.001 apart")


@pytest.mark.parametrize(
    ("in_torch", "tolerance", "passed", "seen"),
    [
        ([1.0, 2.0], TO_THE_BIT, True, "100.000% equal to the bit"),
        ([1.0, 2.0000002], TO_THE_BIT, False, "50.000% equal to the bit"),
        ([1.0, 2.0005], NEAR, True, "50.000% equal to the bit, the other ones at most 0.50 of the tolerance apart"),
        ([1.0, 2.002], NEAR, False, "50.000% equal to the bit, the other ones at most 2.00 of the tolerance apart"),
        ([np.nan, 2.0], NEAR, False, "50.000% equal to the bit, the other ones at most nan of the tolerance apart"),
    ],
)
def test_what_is_near(in_torch: list[float], tolerance: Tolerance, passed: bool, seen: str) -> None:
    found = BitComparison()
    found.add(np.array([1.0, 2.0], np.float32), np.array(in_torch, np.float32), tolerance)
    result = found.result(tolerance)
    assert (result.passed, result.observed, result.samples) == (passed, seen, 2)


def test_of_one_sign_bit_and_of_states_too() -> None:
    found = BitComparison()
    found.add(np.zeros(2, np.float32), np.array([0.0, -0.0], np.float32), TO_THE_BIT)
    assert not found.result(TO_THE_BIT).passed
    states = BitComparison()
    states.add_states(np.arange(3), np.arange(3))
    assert states.result(TO_THE_BIT).passed
    states.add_states(np.arange(3), np.arange(4))
    assert "1 states differ" in str(states.result(TO_THE_BIT).observed)


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16])
def test_neighbours_in_16_bits_may_come_of_one_rounding(dtype: type) -> None:
    values: np.ndarray = np.array([0.3, 1.0, 6e-8], dtype)
    following = np.nextafter(values, np.asarray(2, dtype))
    assert bits._apart(values, following) == 0
    assert bits._apart(values, np.nextafter(following, np.asarray(2, dtype))) > 0


def test_arrays_of_another_kind_are_an_error() -> None:
    with pytest.raises(ValueError, match="got 2 float32, expected 3 float32 as in torch"):
        BitComparison().add(np.zeros(2, np.float32), np.zeros(3, np.float32), TO_THE_BIT)
    with pytest.raises(ValueError, match="got 2 float64, expected 2 float32 as in torch"):
        BitComparison().add(np.zeros(2), np.zeros(2, np.float32), TO_THE_BIT)
