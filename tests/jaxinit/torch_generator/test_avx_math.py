"""log, cos and sin are torch's to the bit, for arguments put into torch by way of its state."""

import numpy as np
import torch

from jaxinit import TorchGenerator
from jaxinit._torch_generator import mt19937
from jaxinit._torch_generator.avx_math import AvxMath
from tests.jaxinit.torch_generator.torch_streams import as_on_avx2


def state_before(words: np.ndarray) -> torch.Tensor:
    """A state from which torch draws these words, up to 623 of them."""
    packed = np.frombuffer(TorchGenerator(0).get_state().tobytes(), mt19937._BYTES).copy()
    packed["left"], packed["next"] = 624, 1
    packed["words"][0, 1 : 1 + words.size] = untempered(words.astype(np.uint32))
    return torch.from_numpy(np.frombuffer(packed.tobytes(), np.uint8).copy())


def untempered(words: np.ndarray) -> np.ndarray:
    """The table's entries that MT19937 turns into `words`."""
    words = words ^ words >> 18
    words = words ^ (words << 15) & np.uint32(0xEFC60000)
    result = words
    for _ in range(5):
        result = words ^ (result << 7) & np.uint32(0x9D2C5680)
    words = result
    for _ in range(3):
        result = words ^ result >> 11
    return result


@as_on_avx2
def test_polynomials_are_torchs(seed: int) -> None:
    """For a random half percent of all arguments, and their ends. benchmarks/for_docs/torch_generator.py tries all."""
    points = np.random.default_rng(seed).integers(0, 2**24, 270 * 304)
    quadrants = np.arange(9)[:, None] * 2**21 + np.arange(-16, 16)
    points[: quadrants.size] = np.clip(quadrants, 0, 2**24 - 1).ravel()
    assert polynomials_differ(points) == 0


def polynomials_differ(points: np.ndarray) -> int:
    """Count the radii, cosines and sines that differ from torch's. The points come in blocks of 304."""
    unit = 6601320  # sqrt(-2 log(1 - unit / 2**24)) is 1
    generator, math, wrong = torch.Generator(), AvxMath(304), 0
    for block in points.astype(np.int32).reshape(-1, 304):
        radii = drawn_for(block, np.zeros_like(block), generator)[:, 0].ravel()
        pairs = drawn_for(np.full_like(block, unit), block, generator).swapaxes(0, 1).reshape(2, -1)
        wrong += int((radii != math.radius(block.copy())).sum() + (pairs != math.cos_sin(block)).sum())
    return wrong


def drawn_for(first: np.ndarray, last: np.ndarray, generator: torch.Generator) -> np.ndarray:
    """What torch makes of these 304 pairs, in blocks of two times eight."""
    words = np.stack([first.reshape(-1, 8), last.reshape(-1, 8)], axis=1)
    generator.set_state(state_before(words.ravel()))
    values: np.ndarray = torch.empty(608).normal_(generator=generator).numpy()
    return values.reshape(-1, 2, 8)
