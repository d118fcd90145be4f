"""A new head on a body that torch trained, in Flax NNX.

In torch:

    model.load_state_dict(torch.load("body.pt"), strict=False)   # all but the head
    model.head.apply(init_weights)                               # the new layers alone

Here the weights come from a file of safetensors, which this script first writes from a
torch model. `load` is strict, so it is given the body's tensors and puts them into the body.
"""

import tempfile
from pathlib import Path

import jax
import jax.numpy as jnp
import torch
from flax import nnx
from safetensors.torch import save_file

import jaxinit


class Classifier(nnx.Module):
    def __init__(self, classes: int, rngs: nnx.Rngs):
        self.body = nnx.Sequential(
            nnx.Conv(3, 8, (3, 3), strides=2, padding=1, rngs=rngs),
            nnx.BatchNorm(8, use_running_average=True, rngs=rngs),
            nnx.relu,
            nnx.Conv(8, 16, (3, 3), strides=2, padding=1, rngs=rngs),
            nnx.relu,
        )
        self.head = nnx.Linear(16, classes, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        return self.head(self.body(x).mean(axis=(1, 2)))


def torch_body() -> torch.nn.Module:
    """What was trained: its layers are numbered as those of the twin."""
    return torch.nn.Sequential(
        torch.nn.Conv2d(3, 8, 3, stride=2, padding=1),
        torch.nn.BatchNorm2d(8),
        torch.nn.ReLU(),
        torch.nn.Conv2d(8, 16, 3, stride=2, padding=1),
        torch.nn.ReLU(),
    ).eval()


def init_weights(m: nnx.Module) -> dict[str, jaxinit.Initializer] | None:
    if isinstance(m, nnx.Linear | nnx.Conv):
        return {"kernel": jaxinit.trunc_normal(std=0.02), "bias": jaxinit.zeros()}
    return None


def main() -> None:
    trained = torch_body()
    model = jaxinit.nnx.init(lambda rngs: Classifier(5, rngs), nnx.Rngs(0))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "body.safetensors"
        save_file(trained.state_dict(), path)
        matched = jaxinit.nnx.load(model.body, path)
    for name, tensors in matched.items():
        print(f"body.{name} from {', '.join(tensors)}")

    images = torch.randn(2, 3, 16, 16)
    with torch.no_grad():
        wanted = trained(images).numpy().transpose(0, 2, 3, 1)

    jaxinit.nnx.apply(model, init_weights, nnx.Rngs(1), only="head")
    features = model.body(jnp.asarray(images.numpy().transpose(0, 2, 3, 1)))
    difference = float(abs(features - wanted).max())
    assert difference < 1e-5
    print(f"the body computes what torch's does, within {difference:.0e}; only the head was drawn")
    kernel = model.head.kernel[...]
    assert 0.01 < kernel.std() < 0.03
    assert not model.head.bias[...].any()
    print(f"head {kernel.shape}: std {kernel.std():.4f}, wanted 0.02")


if __name__ == "__main__":
    main()
