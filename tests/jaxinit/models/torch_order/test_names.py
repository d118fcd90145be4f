"""`order=` names layers, arrays and modules with a method, and refuses names that fit nothing."""

import numpy as np
import pytest
import torch
from flax import nnx

import jaxinit
from jaxinit import TorchGenerator
from tests.jaxinit.models.nnx.test_models import arrays
from tests.jaxinit.models.torch_order.test_constructors import SIZE, Before, Own, TorchOwn
from tests.jaxinit.torch_generator.torch_streams import as_on_avx2

pytestmark = as_on_avx2


def test_arrays_are_drawn_where_order_names_them(seed: int) -> None:
    names = ["last", "after", "first.bias", "position", "token"]
    model = jaxinit.nnx.init(Before, TorchGenerator(seed), order=names)
    torch.manual_seed(seed)
    last, after = torch.nn.Linear(SIZE, 6), torch.empty(SIZE).uniform_()
    first, position, token = torch.nn.Linear(SIZE, 6), torch.empty(1, 5, SIZE).normal_(std=0.02), torch.empty(SIZE)
    torch.nn.init.normal_(token)
    for path, theirs in (
        ("last.kernel", last.weight.T),
        ("after", after),
        ("first.bias", first.bias),
        ("position", position),
        ("token", token),
        ("first.kernel", torch.nn.init.normal_(torch.empty(6, SIZE), std=0.1).T),
    ):
        np.testing.assert_array_equal(arrays(model)[path], theirs.detach())


def test_a_method_comes_after_the_names_in_its_module(seed: int) -> None:
    class Two(nnx.Module):
        def __init__(self, rngs: nnx.Rngs) -> None:
            self.a, self.b = Own(rngs), Own(rngs)

    torch.manual_seed(seed)
    theirs = torch.nn.ModuleDict({"b": TorchOwn(), "a": TorchOwn()})
    model = jaxinit.nnx.init(Two, TorchGenerator(seed), order=theirs.state_dict())
    for ours, module in ((model.a, theirs["a"]), (model.b, theirs["b"])):
        assert isinstance(module, TorchOwn)
        np.testing.assert_array_equal(ours.linear.kernel[...].T, module.linear.weight.detach())
        np.testing.assert_array_equal(ours.gain[...], module.gain.detach())


@pytest.mark.parametrize(
    ("order", "message"),
    [
        (
            ["position", "frist", "last", "token", "after"],
            r"`order` must hold names of layers or arrays of the model, got 'frist' \(near 'first'\)\. Leave out what",
        ),
        (["position", "first", "last", "token", "after", "first.head.weight"], None),
        (["position", "first", "last", "token", "after", "head.weight"], r"got 'head\.weight' \(near "),
        (["position", "first", "last", "token"], "`order` must name every layer, got no name of after"),
        (["position", "first", "token", "after"], r"`order` must name every layer, got no name of last \(Linear\)"),
    ],
)
def test_names_that_fit_nothing_are_refused(order: list[str], message: str | None) -> None:
    if message is None:  # inside of a layer, only the layer has a place
        jaxinit.nnx.init(Before, TorchGenerator(0), order=order)
        return
    with pytest.raises(ValueError, match=message):
        jaxinit.nnx.init(Before, TorchGenerator(0), order=order)


def test_names_of_buffers_that_flax_lacks_are_taken_in_a_layer() -> None:
    class Normed(nnx.Module):
        def __init__(self, rngs: nnx.Rngs) -> None:
            self.norm, self.linear = nnx.BatchNorm(3, rngs=rngs), nnx.Linear(3, 3, rngs=rngs)

    jaxinit.nnx.init(Normed, TorchGenerator(0), order=["norm.num_batches_tracked", "linear.weight"])
