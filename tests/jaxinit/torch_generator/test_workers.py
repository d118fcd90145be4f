"""Threads share an iterator: each item once, in order, and an error of any of them comes out."""

import os
from collections.abc import Iterator

import numpy as np
import pytest

from jaxinit import TorchGenerator
from jaxinit._torch_generator import workers


def test_each_item_goes_to_one_thread() -> None:
    taken: list[int] = []
    workers.share(iter(range(1000)), taken.extend)
    assert sorted(taken) == list(range(1000))


def test_an_error_in_a_thread_is_raised() -> None:
    def fail(items: Iterator[int]) -> None:
        for item in items:
            if item == 7:
                raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        workers.share(iter(range(20)), fail)


def test_numbers_do_not_depend_on_the_number_of_threads(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    draws = []
    for cores in (1, 2, 3, None):
        monkeypatch.setattr(os, "cpu_count", lambda cores=cores: cores)
        draws.append(TorchGenerator(seed).normal(0, 1, (10**6 + 3,)))
    for draw in draws[1:]:
        np.testing.assert_array_equal(draw, draws[0])
