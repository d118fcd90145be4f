"""Threads that share one iterator: NumPy releases the interpreter lock while it computes."""

import concurrent.futures
import os
import threading
from collections.abc import Callable, Iterator
from typing import TypeVar

T = TypeVar("T")

# More threads would wait for each other: the words are drawn one chunk at a time, and NumPy
# takes the interpreter lock between its operations.
_MOST = 2


def share(items: Iterator[T], work: Callable[[Iterator[T]], None]) -> None:
    """Call `work` in one thread a core, each with an iterator that takes the next of `items` under a lock.

    Each item goes to one thread. Items are produced in their order, one at a time.

    Example:
        >>> squares = {}
        >>> share(iter(range(4)), lambda numbers: squares.update((number, number**2) for number in numbers))
        >>> sorted(squares.items())
        [(0, 0), (1, 1), (2, 4), (3, 9)]
    """
    count = min(os.cpu_count() or 1, _MOST)
    with concurrent.futures.ThreadPoolExecutor(count) as threads:
        locked = _Locked(items)
        for done in [threads.submit(work, locked) for _ in range(count)]:
            done.result()


class _Locked(Iterator[T]):
    """Represent an iterator that several threads may use."""

    def __init__(self, items: Iterator[T]) -> None:
        self._items, self._lock = items, threading.Lock()

    def __next__(self) -> T:
        with self._lock:
            return next(self._items)
