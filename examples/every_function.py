"""Each function of torch.nn.init with the arguments that its tutorials use, and a check of what comes out.

Shapes are Flax's: torch's (3, 5) is (5, 3), its (3, 16, 5, 5) is (5, 5, 16, 3).
"""

import math

import jax
import numpy as np

import jaxinit

DENSE = (400, 300)
CONV = (5, 5, 16, 30)
RELU = jaxinit.calculate_gain("relu")
TANH = jaxinit.calculate_gain("tanh")

ELEMENTWISE = [
    (jaxinit.uniform(), DENSE),
    (jaxinit.uniform(a=0, b=5), DENSE),
    (jaxinit.uniform(a=-0.1, b=0.1), DENSE),
    (jaxinit.uniform(-1 / math.sqrt(5), 1 / math.sqrt(5)), DENSE),
    (jaxinit.normal(), DENSE),
    (jaxinit.normal(mean=0.0, std=0.01), DENSE),
    (jaxinit.normal(mean=1.0, std=0.02), DENSE),
    (jaxinit.constant(0.3), DENSE),
    (jaxinit.ones(), DENSE),
    (jaxinit.zeros(), DENSE),
    (jaxinit.xavier_uniform(gain=RELU), DENSE),
    (jaxinit.xavier_uniform(gain=TANH), CONV),
    (jaxinit.xavier_normal(), DENSE),
    (jaxinit.xavier_normal(gain=1.0), CONV),
    (jaxinit.kaiming_uniform(mode="fan_in", nonlinearity="relu"), CONV),
    (jaxinit.kaiming_uniform(a=math.sqrt(5)), CONV),
    (jaxinit.kaiming_normal(mode="fan_out", nonlinearity="relu"), CONV),
    (jaxinit.kaiming_normal(mode="fan_out", nonlinearity="leaky_relu", a=0.1), DENSE),
    (jaxinit.trunc_normal(mean=0.0, std=0.02, a=-0.04, b=0.04), DENSE),
]


def check_against_distribution(init: jaxinit.Initializer, shape: tuple[int, ...]) -> str:
    """Bounds, and mean and standard deviation within six standard errors."""
    x = np.asarray(init(jax.random.key(0), shape), np.float64)
    wanted = init.distribution(shape)
    low, high = (np.float32(bound) for bound in wanted.support)
    assert ((low <= x) & (x <= high)).all(), (init, x.min(), x.max())
    assert abs(x.mean() - wanted.mean) <= 6 * wanted.std / math.sqrt(x.size) + 1e-7, (init, x.mean())
    assert abs(x.std() - wanted.std) <= 6 * wanted.std / math.sqrt(x.size), (init, x.std())
    return f"from {x.min():.4f} to {x.max():.4f}, std {x.std():.4f}"


def check_structured() -> None:
    """What holds for a whole weight, seen as torch's array."""
    key, torch_array = jax.random.key(0), jaxinit.FLAX.to_torch

    eye = torch_array(jaxinit.eye()(key, (3, 2)))
    assert (eye == np.eye(2, 3)).all()

    dirac = torch_array(jaxinit.dirac()(key, (5, 5, 16, 3)))
    assert dirac.sum() == 3
    assert all(dirac[channel, channel, 2, 2] == 1 for channel in range(3))

    orthogonal = np.asarray(torch_array(jaxinit.orthogonal(gain=TANH)(key, (60, 40))))
    np.testing.assert_allclose(orthogonal @ orthogonal.T, TANH**2 * np.eye(40), atol=1e-5)

    sparse = torch_array(jaxinit.sparse(sparsity=0.1, std=0.01)(key, (300, 400)))
    assert ((sparse == 0).sum(axis=0) == 40).all()
    assert 0.0098 < sparse[sparse != 0].std() < 0.0102


def main() -> None:
    for name in ("linear", "sigmoid", "tanh", "relu", "leaky_relu", "selu"):
        print(f"calculate_gain({name!r}) = {jaxinit.calculate_gain(name):.4f}")
    for shape, fans in [((3, 5, 10), (15, 30)), ((3, 3, 5, 10), (45, 90)), ((3, 3, 3, 5, 10), (135, 270))]:
        assert jaxinit.calculate_fan_in_and_fan_out(shape) == fans
        print(f"fans of {shape}: {fans}")
    for init, shape in ELEMENTWISE:
        print(f"{init!r} {shape}: {check_against_distribution(init, shape)}")
    check_structured()
    print("eye, dirac, orthogonal and sparse: as defined")


if __name__ == "__main__":
    main()
