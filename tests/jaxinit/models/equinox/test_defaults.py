"""Which defaults of Equinox differ from torch's: the tables of the guide say what the layers draw."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import numpy as np
import pytest
from scipy import stats

import jaxinit
from jaxinit._models.equinox import layers
from jaxinit.distributions import Constant
from tests.jaxinit.draws import FALSE_ALARM, cdf_of
from tests.jaxinit.models.equinox.test_layers import arrays
from tests.jaxinit.models.equinox.test_models import KEY

GUIDE = (Path(__file__).parents[4] / "docs" / "guides" / "models" / "equinox.md").read_text()
BIASED = {f"use_{part}_bias": True for part in ("query", "key", "value", "output")}

LAYERS: dict[str, Callable[[Any], eqx.Module]] = {
    "Linear": lambda key: eqx.nn.Linear(64, 64, key=key),
    "Conv1d": lambda key: eqx.nn.Conv1d(16, 64, 9, key=key),
    "ConvTranspose2d": lambda key: eqx.nn.ConvTranspose2d(256, 64, 3, key=key),
    "Embedding": lambda key: eqx.nn.Embedding(64, 64, key=key),
    "LSTMCell": lambda key: eqx.nn.LSTMCell(64, 64, key=key),
    "GRUCell": lambda key: eqx.nn.GRUCell(64, 64, key=key),
    "MultiheadAttention": lambda key: eqx.nn.MultiheadAttention(4, 64, **BIASED, key=key),
    "LayerNorm": lambda _: eqx.nn.LayerNorm(64),
    "GroupNorm": lambda _: eqx.nn.GroupNorm(4, 64),
    "RMSNorm": lambda _: eqx.nn.RMSNorm(64),
    "PReLU": lambda _: eqx.nn.PReLU(),
    'BatchNorm in mode `"batch"`': lambda _: eqx.nn.BatchNorm(64, "batch", mode="batch"),
    'BatchNorm in mode `"ema"`': lambda _: eqx.nn.BatchNorm(64, "batch", mode="ema"),
}
DIFFERENT = {
    "ConvTranspose2d": {"weight", "bias"},
    "LSTMCell": {"bias"},
    "GRUCell": {"bias"},
    "MultiheadAttention": {
        "query_proj.weight", "key_proj.weight", "value_proj.weight",
        "query_proj.bias", "key_proj.bias", "value_proj.bias", "output_proj.bias",
    },
    'BatchNorm in mode `"ema"`': {"running_var"},
}  # fmt: skip


@pytest.mark.parametrize("name", LAYERS)
def test_a_default_is_torchs_or_in_the_table(name: str) -> None:
    own = [arrays(LAYERS[name](key)) for key in jax.random.split(KEY, 16)]
    inits: Any = jaxinit.equinox.initializers(LAYERS[name](KEY))
    assert {path for path in inits if not is_drawn(inits[path], [each[path] for each in own])} == DIFFERENT.get(
        name, set()
    )
    assert name in DIFFERENT or name.partition(" ")[0] in GUIDE.partition("These are equal: ")[2]
    assert name not in DIFFERENT or f"\n| {name} |" in GUIDE


def is_drawn(init: Any, values: list[np.ndarray]) -> bool:
    """Return whether chance explains how far values lie from what an initializer draws, gate by gate."""
    if isinstance(init, jaxinit.composed.concatenated):
        gates = zip(*(np.split(each, len(init.inits), axis=-1) for each in values), strict=True)
        return all(is_drawn(own, list(gate)) for own, gate in zip(init.inits, gates, strict=True))
    entries, distribution = np.concatenate([each.ravel() for each in values]), init.distribution(values[0].shape)
    low, high = np.asarray(distribution.support, np.float32)
    if entries.min() < low or entries.max() > high:
        return False
    return isinstance(distribution, Constant) or bool(stats.kstest(entries, cdf_of(distribution)).pvalue > FALSE_ALARM)


def test_the_guide_has_every_layer_with_a_rule() -> None:
    table = GUIDE.partition("| Equinox | torch |")[2]
    for row in layers.ROWS:
        assert row.equinox in table
        assert all(name in table for name in row.torch.replace(" to ", ", ").split(", "))
