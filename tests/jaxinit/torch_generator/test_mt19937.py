"""Seeds, states and copies of the generator."""

import copy
import pickle
from collections.abc import Callable

import numpy as np
import pytest
import torch

from jaxinit import TorchGenerator
from tests.jaxinit.torch_generator.torch_streams import assert_same_bits, assert_same_state, torch_generator


@pytest.mark.parametrize("number", [0, 1, 2**31, 2**32, 2**40 + 7, 2**63, 2**64 - 1, -1, -(2**63)])
def test_seeds_are_torchs(number: int) -> None:
    ours, theirs = TorchGenerator(number), torch_generator(number)
    assert ours.initial_seed() == theirs.initial_seed()
    assert_same_state(ours, theirs)
    assert_same_bits(ours.uniform(0, 1, (700,)), torch.empty(700).uniform_(generator=theirs))
    ours.normal(0, 1, (1,))
    assert_same_state(ours.manual_seed(number), theirs.manual_seed(number))


def test_states_at_the_seams_of_the_table_are_torchs(seed: int) -> None:
    ours, theirs = TorchGenerator(seed), torch_generator(seed)
    for count in (0, 1, 622, 1, 1, 623, 624, 0, 1248):
        ours.uniform(0, 1, (count,))
        torch.empty(count).uniform_(generator=theirs)
        assert_same_state(ours, theirs)
        assert_same_state(TorchGenerator.from_state(theirs.get_state()), theirs)


def test_a_fresh_seed_is_fresh() -> None:
    generator = TorchGenerator(0)
    seeds = {generator.seed() for _ in range(8)}
    assert len(seeds) == 8
    assert generator.initial_seed() in seeds


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, lambda generator: pickle.loads(pickle.dumps(generator))])
def test_a_copy_goes_on_alone(copied: Callable[[TorchGenerator], TorchGenerator], seed: int) -> None:
    generator = TorchGenerator(seed)
    generator.normal(0, 1, (3,))
    other = copied(generator)
    assert repr(other) == repr(generator) == f"jaxinit.TorchGenerator({seed})"
    before = generator.get_state()
    drawn = [other.normal(0, 1, (5,)), other.normal(0, 1, (99,)), other.trunc_normal(0, 1, -1, 1, (9,))]
    np.testing.assert_array_equal(generator.get_state(), before)
    again = [generator.normal(0, 1, (5,)), generator.normal(0, 1, (99,)), generator.trunc_normal(0, 1, -1, 1, (9,))]
    np.testing.assert_array_equal(np.concatenate(again), np.concatenate(drawn))
