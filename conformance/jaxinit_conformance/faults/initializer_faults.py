"""Mistakes about single initializers."""

import math

import jax.numpy as jnp

import jaxinit

from . import mistakes
from .fault import Fault

_DRAWN = "mean|scale|bounds|shape|support|moment .*"

FAULTS: tuple[Fault, ...] = (
    Fault(
        "fan_in and fan_out exchanged",
        "kaiming_uniform",
        _DRAWN,
        mistakes.layout("kaiming_uniform", mistakes.exchanged),
    ),
    Fault(
        "fan_in and fan_out exchanged", "kaiming_normal", _DRAWN, mistakes.layout("kaiming_normal", mistakes.exchanged)
    ),
    Fault(
        "fan_in alone for the mean of both fans",
        "xavier_normal",
        _DRAWN,
        mistakes.scaled(
            "xavier_normal", lambda init, s: math.sqrt(sum(mistakes.fans(init, s)) / 2 / mistakes.fans(init, s)[0])
        ),
    ),
    Fault(
        "gain missing",
        "kaiming_normal",
        _DRAWN,
        mistakes.scaled("kaiming_normal", lambda init, _: 1 / mistakes.gain(init)),
    ),
    Fault(
        "gain squared",
        "kaiming_uniform",
        _DRAWN,
        mistakes.scaled("kaiming_uniform", lambda init, _: mistakes.gain(init)),
    ),
    Fault(
        "gain of relu by default", "xavier_uniform", _DRAWN, mistakes.scaled("xavier_uniform", lambda *_: math.sqrt(2))
    ),
    Fault("std taken for the bound", "kaiming_uniform", _DRAWN, mistakes.scaled("kaiming_uniform", lambda *_: 3**-0.5)),
    Fault("bound taken for the std", "xavier_normal", _DRAWN, mistakes.scaled("xavier_normal", lambda *_: 3**0.5)),
    Fault(
        "variance taken for the std",
        "normal",
        _DRAWN,
        mistakes.like("normal", lambda given: {**given, "std": given.get("std", 1.0) ** 2}),
    ),
    Fault("truncated at two sigma", "kaiming_normal", _DRAWN, mistakes.redrawn("kaiming_normal", mistakes.truncated)),
    Fault("truncated at two sigma", "xavier_normal", _DRAWN, mistakes.redrawn("xavier_normal", mistakes.truncated)),
    Fault("bounds in sigmas", "trunc_normal", _DRAWN, mistakes.in_sigmas),
    Fault("clipped, not truncated", "trunc_normal", _DRAWN, mistakes.clipped),
    Fault(
        "slope 0.01 for 0",
        "kaiming_uniform",
        _DRAWN,
        mistakes.like("kaiming_uniform", lambda given: {"a": 0.01, **given}),
    ),
    Fault(
        "transposed convolution 'corrected'",
        "kaiming_uniform",
        _DRAWN,
        mistakes.layout("kaiming_uniform", lambda given: jaxinit.FLAX if given.in_axis == 3 else given),
    ),
    Fault("groups ignored", "dirac", "equal to torch", mistakes.like("dirac", lambda given: {**given, "groups": 1})),
    Fault(
        "OIHW read as HWIO",
        "xavier_uniform",
        _DRAWN,
        mistakes.layout("xavier_uniform", lambda given: jaxinit.TORCH if given == jaxinit.FLAX else given),
    ),
    Fault(
        "packed query, key and value taken for one",
        "xavier_uniform",
        _DRAWN,
        mistakes.scaled(
            "xavier_uniform",
            lambda init, s: math.sqrt(
                sum(mistakes.fans(init, s)) / (mistakes.fans(init, s)[0] + mistakes.fans(init, s)[1] / 3)
            ),
        ),
    ),
    Fault(
        "spatial axes left out",
        "kaiming_normal",
        _DRAWN,
        mistakes.scaled("kaiming_normal", lambda init, s: math.sqrt(mistakes.receptive_field(init, s))),
    ),
    Fault(
        "experts counted as inputs",
        "kaiming_normal",
        _DRAWN,
        mistakes.scaled(
            "kaiming_normal",
            lambda init, s: 1 / math.sqrt(s[0]) if init.layout.roles(len(s)).batch else 1.0,
        ),
    ),
    Fault(
        "no signs after QR",
        "orthogonal",
        "Haar .*",
        mistakes.redrawn("orthogonal", mistakes.without_signs),
    ),
    Fault("key ignored", "orthogonal", "keys", mistakes.redrawn("orthogonal", mistakes.with_one_key)),
    Fault(
        "one array for all experts", "orthogonal", "stacked arrays", mistakes.then("orthogonal", mistakes.one_for_all)
    ),
    Fault(
        "one array for all experts",
        "kaiming_normal",
        "neighbours .*",
        mistakes.then("kaiming_normal", mistakes.one_for_all),
    ),
    Fault(
        "unit rows, not orthogonal",
        "orthogonal",
        "orthonormal",
        mistakes.redrawn("orthogonal", mistakes.not_square_to_each_other),
    ),
    Fault(
        "gain forgotten in orthogonal",
        "orthogonal",
        "orthonormal",
        mistakes.scaled("orthogonal", lambda *_: 1.1),
    ),
    Fault("zeros in rows, not columns", "sparse", "zeros .*", mistakes.sparse(mistakes.by_rows)),
    Fault("floor for ceil", "sparse", "zeros .*", mistakes.sparse(mistakes.floored)),
    Fault("one zero too many", "sparse", "zeros beyond .*", mistakes.sparse(mistakes.one_too_many)),
    Fault("zeros in one piece", "sparse", "zeros of neighbouring rows", mistakes.sparse(mistakes.in_one_piece)),
    Fault(
        "two values, not normal ones",
        "sparse",
        "shape",
        mistakes.then("sparse", lambda array, init: init.std * jnp.sign(array)),
    ),
    Fault("the same rows in every column", "sparse", "zeros .*", mistakes.sparse(mistakes.the_same_in_every_column)),
    Fault("each entry zero by itself", "sparse", "zeros .*", mistakes.sparse(mistakes.one_by_one)),
    Fault("std 0.01 taken for a variance", "sparse", "scale", mistakes.scaled("sparse", lambda *_: 10.0)),
    Fault("centre of an even kernel", "dirac", "equal to torch", mistakes.then("dirac", mistakes.off_centre)),
    Fault("drawn in bfloat16", "normal", "distinct values", mistakes.redrawn("normal", mistakes.native_normal)),
    Fault("tails cut in low precision", "normal", "tails", mistakes.redrawn("normal", mistakes.cut_in_low_precision)),
    Fault(
        "upper bound reached by rounding", "uniform", "support", mistakes.redrawn("uniform", mistakes.one_rounding_late)
    ),
    Fault("dtype ignored", "constant", "equal to torch", mistakes.redrawn("constant", mistakes.in_default_dtype)),
    Fault(
        "key ignored",
        "normal",
        "keys|neighbours along keys",
        mistakes.redrawn("normal", mistakes.with_one_key),
    ),
    Fault("key ignored", "uniform", "leaves of a model", mistakes.redrawn("uniform", mistakes.with_one_key)),
    Fault("second half repeats the first", "normal", "halves", mistakes.then("normal", mistakes.repeated(2))),
    Fault("a third, three times", "normal", "distinct values", mistakes.then("normal", mistakes.repeated(3))),
    Fault(
        "clipped at 4 sigma",
        "normal",
        "tails",
        mistakes.then("normal", lambda array, init: array.clip(init.mean - 4 * init.std, init.mean + 4 * init.std)),
    ),
    Fault("neighbours correlated at 0.05", "normal", "neighbours .*", mistakes.then("normal", mistakes.correlated)),
    Fault("scale off by 1%", "normal", "scale", mistakes.scaled("normal", lambda *_: 1.01)),
    Fault("scale off by 1%", "kaiming_normal", "scale", mistakes.scaled("kaiming_normal", lambda *_: 0.99)),
    Fault("bound off by 0.1%", "uniform", "bounds|support", mistakes.scaled("uniform", lambda *_: 1.001)),
    Fault("wider by 1e-4", "uniform", "support", mistakes.then("uniform", lambda array, _: array * 1.0001 - 0.00005)),
    Fault("bound off by 0.1%", "xavier_uniform", "bounds|support", mistakes.scaled("xavier_uniform", lambda *_: 0.999)),
    Fault(
        "mean off by 0.005 sigma",
        "normal",
        "mean",
        mistakes.then("normal", lambda array, init: array + 0.005 * init.std),
    ),
    Fault("warning lost", "kaiming_uniform", "warning", mistakes.redrawn("kaiming_uniform", mistakes.silent)),
    Fault("wrong mode accepted", "kaiming_normal", "refusal", mistakes.lenient),
    Fault("warning where torch refuses", "kaiming_normal", "refusal", mistakes.warning),
    Fault("arguments in another order", "trunc_normal", "signature", mistakes.in_another_order),
)
