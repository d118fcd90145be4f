"""The program that type checkers accept runs too."""

import pytest

from tests.typing import haiku_program, keras_program, user_program


def test_it_runs() -> None:
    assert user_program.in_nnx() == {"head.kernel": ("head.weight",)}
    assert user_program.in_linen().shape == (2, 3)
    assert user_program.in_equinox()["linear.weight"].shape == (2, 8)
    assert "conv.kernel" in user_program.described()


def test_programs_of_keras_and_haiku_run() -> None:
    assert [weight.shape for weight in keras_program.model().weights] == [(3, 3, 3, 1), (3,), (108, 4), (4,)]
    assert keras_program.draw().dtype == "bfloat16"
    assert haiku_program.parameters()["multi_head_attention/query"]["w"].shape == (16, 8)


def test_what_the_checkers_refuse_is_wrong() -> None:
    with pytest.raises(KeyError, match="scale_init"):
        user_program.mistakes()
    for program in (keras_program, haiku_program):
        with pytest.raises(TypeError, match=r"`init` must be an initializer such as jaxinit\.normal"):
            program.mistakes()
