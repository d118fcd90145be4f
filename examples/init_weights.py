"""`init_weights` over convolutions, an LSTM and linear layers, in Flax NNX.

In torch:

    def init_weights(m):
        if isinstance(m, nn.Linear):
            nn.init.kaiming_normal_(m.weight, mode="fan_in", nonlinearity="relu")
            if m.bias is not None:
                nn.init.constant_(m.bias, 0)
        elif isinstance(m, nn.Conv2d):
            nn.init.xavier_uniform_(m.weight)
        elif isinstance(m, nn.LSTM):
            for name, param in m.named_parameters():
                if "weight" in name:
                    nn.init.orthogonal_(param)
                elif "bias" in name:
                    nn.init.constant_(param, 0)

    model.apply(init_weights)

What it leaves alone, the bias of the convolution, stays as torch's constructor drew it.
"""

import jax
import jax.numpy as jnp
from flax import nnx

import jaxinit


class Reader(nnx.Module):
    """Reads an image row by row."""

    def __init__(self, rngs: nnx.Rngs):
        self.conv = nnx.Conv(3, 8, (3, 3), rngs=rngs)
        self.lstm = nnx.RNN(nnx.OptimizedLSTMCell(8 * 16, 32, rngs=rngs))
        self.fc = nnx.Linear(32, 10, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        rows = nnx.relu(self.conv(x)).reshape(len(x), 16, 16 * 8)
        return self.fc(self.lstm(rows)[:, -1])


def init_weights(m: nnx.Module) -> dict[str, jaxinit.Initializer] | None:
    match m:
        case nnx.Linear():
            kernel = jaxinit.kaiming_normal(mode="fan_in", nonlinearity="relu")
            return {"kernel": kernel} if m.bias is None else {"kernel": kernel, "bias": jaxinit.constant(0)}
        case nnx.Conv():
            return {"kernel": jaxinit.xavier_uniform()}
        case nnx.OptimizedLSTMCell():
            orthogonal = jaxinit.orthogonal()
            return {
                "dense_i.kernel": orthogonal,
                "dense_h.kernel": orthogonal,
                "dense_h.bias": jaxinit.constant(0),
            }
    return None


def build(rngs: nnx.Rngs) -> Reader:
    model = jaxinit.nnx.init(Reader, rngs)
    jaxinit.nnx.apply(model, init_weights, rngs)
    return model


def main() -> None:
    model = build(nnx.Rngs(0))
    bound = (6 / (9 * 3 + 9 * 8)) ** 0.5
    assert abs(model.conv.kernel[...]).max() <= bound
    print(f"conv: up to {abs(model.conv.kernel[...]).max():.3f}, wanted {bound:.3f}")
    print(f"conv's bias, torch's default: up to {abs(model.conv.bias[...]).max():.3f}, wanted {(9 * 3) ** -0.5:.3f}")

    # All four gates are one matrix with orthonormal columns, as torch's weight_hh_l0.
    recurrent = model.lstm.cell.dense_h.kernel[...]
    error = abs(recurrent @ recurrent.T - jnp.eye(32)).max()
    assert error < 1e-5
    assert not model.lstm.cell.dense_h.bias[...].any()
    print(f"lstm {recurrent.shape}: orthonormal within {error:.0e}, bias 0")

    print(f"fc: std {model.fc.kernel[...].std():.3f}, wanted {(2 / 32) ** 0.5:.3f}")
    print("output", model(jnp.ones((4, 16, 16, 3))).shape)


if __name__ == "__main__":
    main()
