"""What the scripts share: contenders that take turns in one run, medians with quartiles, and tables.

Whatever else the machine does falls on all contenders alike. `--quick` runs each once, to
see that the script runs. `--out DIR` writes the table and its figures as Markdown and JSON.
"""

import argparse
import json
import os
import pathlib
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from importlib import metadata
from typing import Any, NamedTuple


class Turn(NamedTuple):
    """The seconds of one call: by the clock, and of all cores together."""

    clock: float
    cores: float


Times = dict[str, list[Turn]]


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true", help="run each contender once, on small arrays")
    parser.add_argument("--out", type=pathlib.Path, help="a folder for the table and its figures")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    return parser.parse_args()


def turn(call: Callable[[], object]) -> Turn:
    clock, cores = time.perf_counter(), time.process_time()
    call()
    return Turn(time.perf_counter() - clock, time.process_time() - cores)


def take_turns(contenders: Mapping[str, Callable[[], object]], budget: float) -> Times:
    """Return the turns of each contender, after one call that is not counted."""
    for call in contenders.values():
        call()
    times: Times = {name: [] for name in contenders}
    end = time.perf_counter() + budget
    while len(next(iter(times.values()))) < 3 or time.perf_counter() < end:
        for name, call in contenders.items():
            times[name].append(turn(call))
        if not budget:
            break
    return times


def in_a_new_process(script: str, child: object, **environment: str) -> Any:
    """Return what the script prints as JSON when it is asked for one child."""
    command = [sys.executable, script, "--child", json.dumps(child)]
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "", **environment}  # as an installed package is imported
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if done.returncode:
        raise RuntimeError(done.stderr)
    return json.loads(done.stdout.splitlines()[-1])


def spread(values: Sequence[float], digits: int = 2) -> str:
    """Return the median and the quartiles."""
    if len(values) < 2:
        return f"{values[0]:.{digits}f}"
    low, middle, high = statistics.quantiles(values, n=4)
    return f"{middle:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"


def ratio(above: Sequence[float], below: Sequence[float]) -> str:
    """Return the ratio in each round: the median and the quartiles."""
    return spread([one / other for one, other in zip(above, below, strict=True)])


def speed(times: Times, other: str, measure: str = "clock") -> str:
    """Return how many times as fast as the other jaxinit is."""
    if other not in times:
        return "absent"
    theirs, ours = ([getattr(turn, measure) for turn in times[name]] for name in (other, "jaxinit"))
    return ratio(theirs, ours)


def publish(name: str, columns: Sequence[str], rows: Sequence[Sequence[object]], figures: object) -> None:
    """Print a table, and write it with its figures where `--out` says."""
    lines = [f"| {' | '.join(columns)} |", f"|{'---|' * len(columns)}"]
    lines += [f"| {' | '.join(map(str, row))} |" for row in rows]
    print("\n".join(lines))
    out = arguments().out
    if out:
        out.mkdir(parents=True, exist_ok=True)
        versions = {package: metadata.version(package) for package in ("jax", "flax", "torch", "numpy")}
        machine = {"cores": os.cpu_count(), "machine": platform.machine(), "versions": versions}
        (out / f"{name}.md").write_text("\n".join(lines) + "\n")
        short = json.loads(json.dumps(figures), parse_float=lambda digits: float(f"{float(digits):.4g}"))
        (out / f"{name}.json").write_text(json.dumps({"machine": machine, "figures": short}) + "\n")
