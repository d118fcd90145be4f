"""MaxText's own layers, where it is installed. `test_at_call` makes the same calls without it."""

import importlib.util
import json
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(importlib.util.find_spec("maxtext") is None, reason="MaxText: pip install maxtext")

# In a process of its own, for MaxText changes settings of JAX and of logging when it is imported.
LAYERS = """
import json, pathlib
import jax, maxtext, numpy as np
from flax import nnx
from maxtext.configs import pyconfig
from maxtext.layers import linears, moe
import jaxinit

init = jaxinit.at_call(jaxinit.kaiming_normal(nonlinearity="linear"), layout=jaxinit.Layout(1, 2, batch_axis=0))
query = linears.DenseGeneral(64, (8, 32), kernel_init=init, rngs=nnx.Rngs(0))
out = linears.DenseGeneral((8, 32), 64, axis=(-2, -1), kernel_init=init, rngs=nnx.Rngs(0))
config = pyconfig.initialize(
    [None, str(pathlib.Path(maxtext.__file__).parent / "configs" / "base.yml")],
    num_experts=8, num_experts_per_tok=2, base_emb_dim=64, base_mlp_dim=96, base_moe_mlp_dim=96,
    override_model_config=True, enable_checkpointing=False, run_name="experts", skip_jax_distributed_system=True,
    hardware="cpu", log_config=False, sparse_matmul=False, megablox=False,
)
mesh = jax.sharding.Mesh(np.array(jax.devices()[:1]).reshape([1] * len(config.mesh_axes)), config.mesh_axes)
experts = moe.RoutedMoE(
    config=config, num_experts=8, num_experts_per_tok=2, mesh=mesh, kernel_init=init, kernel_axes=("embed", None),
    intermediate_dim=96, rngs=nnx.Rngs(0),
)
kernels = {
    "query": (query.kernel, 64), "out": (out.kernel, 256), "gate": (experts.gate.kernel, 64),
    "wi_0": (experts.wi_0, 64), "wi_1": (experts.wi_1, 64), "wo": (experts.wo, 96),
}
print(json.dumps({name: float(kernel[...].std()) * fan_in ** 0.5 for name, (kernel, fan_in) in kernels.items()}))
"""


def test_its_kernels_have_the_fans_that_they_are_used_with() -> None:
    """512 entries or more: the std is more than 20% off with probability 1e-10. The seeds of the layers are fixed."""
    done = subprocess.run([sys.executable, "-c", LAYERS], capture_output=True, text=True, check=True)
    ratios = json.loads(done.stdout.splitlines()[-1])
    assert set(ratios) == {"query", "out", "gate", "wi_0", "wi_1", "wo"}
    for name, ratio in ratios.items():
        assert abs(ratio - 1) < 0.2, name
