"""The program that type checkers accept runs too."""

import pytest

from tests.typing import user_program


def test_it_runs() -> None:
    assert user_program.in_nnx() == {"head.kernel": ("head.weight",)}
    assert user_program.in_linen().shape == (2, 3)
    assert user_program.in_equinox()["linear.weight"].shape == (2, 8)
    assert "conv.kernel" in user_program.described()


def test_what_the_checkers_refuse_is_wrong() -> None:
    with pytest.raises(KeyError, match="scale_init"):
        user_program.mistakes()
