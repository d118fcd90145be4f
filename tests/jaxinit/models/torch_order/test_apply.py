"""`apply` from a TorchGenerator draws what torch's `model.apply(init_weights)` draws."""

from typing import Any

import jax
import numpy as np
import pytest
import torch
from flax import nnx

import jaxinit
from jaxinit import TorchGenerator
from tests.jaxinit.models.torch_order.test_models import assert_torchs
from tests.jaxinit.torch_generator.torch_streams import as_on_avx2, assert_same_state

pytestmark = as_on_avx2


class Plain(nnx.Module):
    def __init__(self, rngs: nnx.Rngs) -> None:
        self.table = nnx.Embed(11, 6, rngs=rngs)
        self.stem = nnx.Conv(6, 8, (3, 2), rngs=rngs)
        self.up = nnx.ConvTranspose(8, 6, (2, 3), rngs=rngs)
        self.head = nnx.Linear(6, 4, rngs=rngs)


class TorchPlain(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.table = torch.nn.Embedding(11, 6)
        self.stem = torch.nn.Conv2d(6, 8, (3, 2))
        self.up = torch.nn.ConvTranspose2d(8, 6, (2, 3))
        self.head = torch.nn.Linear(6, 4)


def init_weights(module: Any) -> dict[str, jaxinit.Initializer] | None:
    if isinstance(module, nnx.Conv | nnx.ConvTranspose | nnx.Linear):
        return {"kernel": jaxinit.trunc_normal(std=0.02), "bias": jaxinit.uniform()}
    return {"embedding": jaxinit.normal(std=0.02)} if isinstance(module, nnx.Embed) else None


def torch_init_weights(module: torch.nn.Module) -> None:
    if isinstance(module, torch.nn.Embedding):
        torch.nn.init.normal_(module.weight, std=0.02)
    elif not isinstance(module, TorchPlain):
        assert isinstance(module.weight, torch.Tensor)
        assert isinstance(module.bias, torch.Tensor)
        torch.nn.init.trunc_normal_(module.weight, std=0.02)
        torch.nn.init.uniform_(module.bias)


def test_apply_fills_each_array_in_torchs_order(seed: int) -> None:
    """Elementwise initializers too, which by themselves fill a kernel in its own order."""
    module, theirs = TorchPlain(), torch.manual_seed(seed)
    module.apply(torch_init_weights)
    model = jaxinit.nnx.init(Plain, jax.random.key(0))
    jaxinit.nnx.apply(model, init_weights, generator := TorchGenerator(seed))
    assert_same_state(generator, theirs)
    assert_torchs(model, Plain, module.state_dict())


@pytest.mark.usefixtures("torchs_qr")
def test_apply_draws_a_cells_gates_as_one_matrix(seed: int) -> None:
    def fn(module: Any) -> dict[str, jaxinit.Initializer] | None:
        return {"dense_i.kernel": jaxinit.orthogonal()} if isinstance(module, nnx.OptimizedLSTMCell) else None

    model, generator = nnx.OptimizedLSTMCell(4, 3, rngs=nnx.Rngs(0)), TorchGenerator(seed)
    jaxinit.nnx.apply(model, fn, generator)
    theirs = torch.manual_seed(seed)
    expected = torch.nn.init.orthogonal_(torch.empty(12, 4)).numpy()
    np.testing.assert_array_equal(model.dense_i.kernel[...], expected.T)
    assert_same_state(generator, theirs)


@pytest.mark.usefixtures("torchs_qr")
def test_apply_draws_each_gate_of_a_cell_in_torchs_order(seed: int) -> None:
    """Parts are those of the Flax kernel, which is torch's weight transposed."""
    gates = jaxinit.composed.concatenated([jaxinit.orthogonal(), jaxinit.normal(), jaxinit.ones(), jaxinit.uniform()])
    model, generator = nnx.OptimizedLSTMCell(3, 5, rngs=nnx.Rngs(0)), TorchGenerator(seed)
    jaxinit.nnx.apply(model, {"dense_h.kernel": gates, "dense_i.kernel": 0.5 * gates}, generator)
    theirs = torch.manual_seed(seed)
    for kernel, scale in ((model.dense_i.kernel, 0.5), (model.dense_h.kernel, 1.0)):
        weight = torch.empty(20, kernel.shape[0])
        for name, gate in zip(("orthogonal_", "normal_", "ones_", "uniform_"), weight.chunk(4), strict=True):
            getattr(torch.nn.init, name)(gate)
        np.testing.assert_array_equal(kernel[...], scale * weight.numpy().T)
    assert_same_state(generator, theirs)


def test_apply_sets_the_row_of_the_users_array(seed: int) -> None:
    model, generator = nnx.Linear(4, 3, rngs=nnx.Rngs(0)), TorchGenerator(seed)
    jaxinit.nnx.apply(model, {"kernel": jaxinit.composed.with_zero_row(jaxinit.normal(), -1)}, generator)
    _ = torch.manual_seed(seed)
    assert not model.kernel[3].any()
    np.testing.assert_array_equal(model.kernel[:3], torch.nn.init.normal_(torch.empty(3, 4)).numpy().T[:3])
