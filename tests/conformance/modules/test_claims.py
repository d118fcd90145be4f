"""Every claim about modules can fail, each module has its pair, and correspondences are not taken on trust."""

import re
import types
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxinit
from jaxinit._models.torch_modules import TABLE
from jaxinit_conformance import suite
from jaxinit_conformance.checks.check import Result
from jaxinit_conformance.faults import catch
from jaxinit_conformance.faults.modules import drawn, loaded, one_uniform, only, scaled, stated
from jaxinit_conformance.modules import claims, coverage, pairs, parts
from jaxinit_conformance.modules.pairs.pair import leaves
from jaxinit_conformance.targets import Target
from tests import seeds

RATES = catch.CHECK_RATES
SEED = seeds.fresh(__name__)
QUICK = {pair.name: pair for pair in pairs.LAYERS if pair.quick}


def judged(name: str, claim: str, nnx: Any) -> Result:
    """The result for a quick claim about one module, from a namespace."""
    with jax.enable_x64(True):
        (found,) = (
            check for check in claims.checks(nnx, SEED, quick=True) if (check.initializer, check.claim) == (name, claim)
        )
        return suite.evaluate(found, RATES)


def shifted(amount: float) -> Any:
    return lambda init: lambda key, shape, dtype: init(key, shape, dtype) + jnp.asarray(amount, dtype)


WRONG = [
    ("nn.Linear", "mean", drawn(only("kernel", shifted(0.02)))),
    ("nn.Linear", "shape", drawn(only("kernel", scaled(0.8)))),
    ("nn.Linear", "bounds", drawn(only("bias", scaled(0.99)))),
    ("nn.Linear", "support", drawn(only("bias", scaled(1.02)))),
    ("nn.Embedding", "scale", drawn(only("embedding", scaled(0.9)))),
    ("nn.BatchNorm2d", "constants", drawn(only("scale", shifted(1e-6)))),
    ("nn.LSTM", "distribution", stated(only("dense_h.bias", one_uniform))),
    ("nn.LSTM", "forward", loaded(lambda name, array: array * np.float32("bias_hh" not in name))),
    ("nn.GRU", "forward", loaded(lambda name, array: array[::-1] if "weight_hh" in name else array)),
    ("nn.Conv2d", "forward", loaded(lambda name, array: np.flip(array, 2) if array.ndim == 4 else array)),
    ("nn.BatchNorm2d", "forward", loaded(lambda name, array: array + np.float32(1e-3 * (name == "running_var")))),
    ("nn.MultiheadAttention", "forward", loaded(lambda name, array: -array if name == "out_proj.bias" else array)),
]


@pytest.mark.parametrize(("name", "claim", "nnx"), WRONG, ids=lambda value: value if isinstance(value, str) else "")
def test_each_claim_can_fail(name: str, claim: str, nnx: Any) -> None:
    assert not judged(name, claim, nnx).passed


@pytest.mark.parametrize(("name", "claim"), sorted({(name, claim) for name, claim, _ in WRONG}))
def test_and_passes_without_a_fault(name: str, claim: str) -> None:
    seen = judged(name, claim, jaxinit.nnx)
    assert seen.passed, seen


def test_a_target_that_states_nothing_is_judged_by_its_draws() -> None:
    plain = types.SimpleNamespace(reset_parameters=jaxinit.nnx.reset_parameters, load=jaxinit.nnx.load)
    names = {check.claim for check in claims.checks(plain, SEED, quick=True)}
    assert "distribution" not in names
    assert {"forward", "shape", "mean"} <= names


def test_targets_without_modules_have_no_such_checks() -> None:
    checks, _ = suite.plan(Target("plain", types.SimpleNamespace(zeros=jaxinit.zeros)), 0, quick=True)
    assert not [check for check in checks if check.initializer.startswith("nn.")]


def test_every_layer_of_the_table_has_a_pair() -> None:
    named = " ".join(pair.case for pair in pairs.LAYERS)
    missing = [row.nnx for row in TABLE if row.nnx and not re.search(rf"\bnnx\.{row.nnx}\b", named)]
    assert not missing


def test_every_torch_module_with_parameters_is_covered_or_left_out_with_a_reason() -> None:
    covered = {pair.name for pair in pairs.LAYERS}
    expected = {f"nn.{name}" for name in coverage.with_parameters()}
    assert covered | {f"nn.{name}" for name in coverage.LEFT_OUT} == expected
    assert not covered & {f"nn.{name}" for name in coverage.LEFT_OUT}


def test_ids_are_unique() -> None:
    ids = [check.id for check in claims.checks(jaxinit.nnx, 0, quick=False)]
    assert len(set(ids)) == len(ids)


def test_the_five_models_are_among_the_pairs() -> None:
    assert len(pairs.MODELS) == 5


def test_parts_name_what_their_entries_are_made_of() -> None:
    (plain,) = (pair for pair in pairs.LAYERS if pair.name == "nn.GRUCell" and "bias" not in pair.case)
    found = {part.name: part.sources for part in parts.parts(plain, jaxinit.nnx.load)}
    assert found == {
        "dense_i.kernel": ("weight_ih",),
        "dense_h.kernel": ("weight_hh",),
        "dense_i.bias[0:64]": ("bias_ih", "bias_hh"),
        "dense_i.bias[64:96]": ("bias_ih",),
    }


def test_a_load_that_leaves_something_out_is_found() -> None:
    def load(model: Any, state: dict[str, np.ndarray]) -> Any:
        return jaxinit.nnx.load(model, {name: array * np.float32(name != "bias") for name, array in state.items()})

    with pytest.raises(LookupError, match="bias is not made of"):
        parts.parts(QUICK["nn.Linear"], load)


def test_a_tensor_that_is_nowhere_is_found() -> None:
    def load(model: Any, state: dict[str, np.ndarray]) -> Any:
        lost = "bias_hh_l0"
        matched = jaxinit.nnx.load(model, {**state, lost: np.zeros_like(state[lost])})
        return {path: tuple(name for name in names if name != lost) for path, names in matched.items()}

    with pytest.raises(LookupError, match="nothing is made of torch's bias_hh_l0"):
        parts.parts(QUICK["nn.LSTM"], load)


def test_draws_are_those_of_reset_parameters() -> None:
    pair, key = QUICK["nn.Linear"], jax.random.key(SEED)
    found = parts.parts(pair, jaxinit.nnx.load)
    seen = parts.Drawn(pair, jaxinit.nnx.reset_parameters, key).values(found, 3 * 24 * 96)
    model = pair.blank()
    jaxinit.nnx.reset_parameters(model, jax.random.fold_in(key, 2))
    for part, array in zip(found, seen, strict=True):
        np.testing.assert_array_equal(array[2].ravel(), np.asarray(leaves(model)[part.path]).ravel())
