"""The Mersenne twister as torch runs it: its words, and its state in torch's bytes.

torch seeds MT19937 with the low 32 bits of the seed, by the classic recurrence. NumPy's
legacy seeding is the same, and its legacy streams are frozen for good.
"""

import dataclasses
from collections.abc import Callable, Iterator
from typing import Self

import numpy as np

from jaxinit._torch_generator import workers

# Where in an array some points belong, and the points.
Chunk = tuple[slice, np.ndarray]

# Some megabytes of buffers a thread. In smaller chunks, the threads mostly wait for the interpreter lock.
CHUNK = 2**18

_WORDS = 624

# at::CPUGeneratorImplState, whose unused fields are those of older generators.
_BYTES = np.dtype(
    [
        ("seed", "<u8"), ("left", "<i4"), ("seeded", "<i4"), ("next", "<u8"), ("words", "<u8", _WORDS),
        ("unused_x", "<f8"), ("normal", "<f8"), ("unused_rho", "<f8"), ("has_normal", "<i8"),
        ("unused_normal", "<f4"), ("unused_flag", "<i4"),
    ]
)  # fmt: skip


@dataclasses.dataclass(eq=False)
class Mersenne:
    """Represent a stream of 32-bit words, and the one normal value kept for the next draw.

    Args:
        seed: 64 bits, without a sign. The stream depends on the low 32, the state shows all.

    Example:
        >>> stream = Mersenne(0)
        >>> stream.words(3)
        array([2357136044, 2546248239, 3071714933], dtype=uint32)
        >>> Mersenne.from_bytes(stream.to_bytes()).words(1)
        array([3626093760], dtype=uint32)
    """

    seed: int
    normal: float | None = dataclasses.field(default=None, init=False)

    def __post_init__(self) -> None:
        # RandomState, unlike Generator, promises the same numbers in every version of NumPy.
        self._bits = np.random.MT19937(0)
        self._source = np.random.RandomState(self._bits)
        self._source.seed(self.seed & 0xFFFFFFFF)
        # Before the first word torch counts from 0, after a whole table from 624.
        self._untouched = True

    def words(self, count: int, digits: int = 32) -> np.ndarray:
        """Return the low `digits` bits of each of the next `count` words."""
        self._untouched &= count == 0
        return self._source.randint(0, 2**digits, count, np.uint32)

    def points(self, count: int, digits: int) -> np.ndarray:
        """Return the next `count` whole numbers below `2**digits`: 24 are a word's low bits, 53 those of two words."""
        if digits <= 32:
            return self.words(count, digits).view(np.int32)
        high, low = self.words(2 * count).reshape(count, 2).T.astype(np.int64)
        points: np.ndarray = ((high & (2 ** (digits - 32) - 1)) << 32) | low
        return points

    def share_chunks(self, count: int, digits: int, work: Callable[[Iterator[Chunk]], None]) -> None:
        """Call `work` with the next `count` points and their places, `CHUNK` at a time, in several threads if many."""
        chunks = self._chunks(count, digits)
        if count <= CHUNK:
            work(chunks)
        else:
            workers.share(chunks, work)

    def _chunks(self, count: int, digits: int) -> Iterator[Chunk]:
        for start in range(0, count, CHUNK):
            places = slice(start, min(start + CHUNK, count))
            yield places, self.points(places.stop - places.start, digits)

    def to_bytes(self) -> np.ndarray:
        """Return what `torch.Generator.get_state` would hold."""
        state = self._bits.state["state"]
        packed = np.zeros((), _BYTES)
        packed["seed"], packed["seeded"], packed["words"] = self.seed, 1, state["key"]
        packed["next"] = 0 if self._untouched else state["pos"]
        packed["left"] = 1 if self._untouched else _WORDS + 1 - state["pos"]
        packed["has_normal"], packed["normal"] = self.normal is not None, self.normal or 0.0
        return np.frombuffer(packed.tobytes(), np.uint8).copy()

    @classmethod
    def from_bytes(cls, state: np.ndarray) -> Self:
        """Return the stream that goes on from what `torch.Generator.get_state` holds.

        Raises:
            TypeError: `state` is not an array of uint8.
            ValueError: it has not torch's length, or is not the state of a seeded generator.
        """
        packed = _unpacked(state)
        stream = cls(int(packed["seed"]))
        stream._untouched = packed["next"] == 0
        position = _WORDS if stream._untouched else int(packed["next"])
        stream._bits.state = {"bit_generator": "MT19937", "state": {"key": packed["words"], "pos": position}}
        stream.normal = float(packed["normal"]) if packed["has_normal"] else None
        return stream


def _unpacked(state: np.ndarray) -> np.void:
    array = np.asarray(state)
    if array.dtype != np.uint8:
        raise TypeError(f"`state` must be an array of uint8, got {array.dtype}")
    if array.shape != (_BYTES.itemsize,):
        raise ValueError(f"`state` must have torch's shape {(_BYTES.itemsize,)}, got {array.shape}")
    packed: np.void = np.frombuffer(array.tobytes(), _BYTES)[0]
    left, place = int(packed["left"]), int(packed["next"])
    in_place = (left, place) == (1, 0) or (1 <= place <= _WORDS and left + place == _WORDS + 1)
    if not (in_place and packed["seeded"] == 1 and (packed["words"] < 2**32).all()):
        raise ValueError(f"`state` must be that of a seeded CPU generator, got one with left={left} and next={place}")
    return packed
