"""`jaxinit describe` and `jaxinit compare`: what they print, and their exit status."""

import json
import math
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
import safetensors.numpy

import jaxinit
from jaxinit._descriptions import fit
from tests import seeds
from tests.conformance.command import jaxinit as command
from tests.jaxinit.draws import FALSE_ALARM

KEY = jax.random.key(seeds.fresh(__name__))


@pytest.fixture(autouse=True)
def _rare_alarms(monkeypatch: pytest.MonkeyPatch) -> None:
    """A user's false alarm is one in a million."""
    monkeypatch.setattr(fit, "FALSE_ALARM", FALSE_ALARM)


def test_describe_prints_one_line_for_each_array(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    weight = np.asarray(jaxinit.kaiming_uniform(a=math.sqrt(5), layout=jaxinit.TORCH)(KEY, (96, 192)))
    path = tmp_path / "x.safetensors"
    path.write_bytes(safetensors.numpy.save({"a|[red]b\n\x1b[2J": weight, "bias": np.zeros(4, np.float32)}))
    assert command(["describe", str(path)]) == 0
    headings, first, second, summary = capsys.readouterr().out.splitlines()
    assert headings.split() == ["parameter", "shape", "dtype", "mean", "std", "histogram", "drawn", "from"]
    cells = re.split(r"  +", first)
    assert cells[:3] == [r"a|[red]b\n\x1b[2J", "(96, 192)", "float32"]
    assert cells[-1] == "kaiming_uniform(a=sqrt(5)), fan_in 192"
    assert re.split(r"  +", second) == ["bias", "(4,)", "float32", "0", "0", "zeros()"]
    assert summary == "2 arrays, 0 of which look wrong; 18,436 entries"


def test_npz_has_the_layout_of_flax_unless_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    np.savez(tmp_path / "x.npz", kernel=np.asarray(jaxinit.kaiming_uniform()(KEY, (90, 200))))
    assert command(["describe", str(tmp_path / "x.npz")]) == 0
    assert "kaiming_uniform(), fan_in 90\n" in capsys.readouterr().out
    assert command(["describe", "--layout", "torch", str(tmp_path / "x.npz")]) == 0
    assert "kaiming_uniform(mode='fan_out'), fan_out 90\n" in capsys.readouterr().out


def test_lengths_of_time_are_no_weights(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    np.savez(tmp_path / "x.npz", a=np.array([1, 2], "m8[s]"))
    (tmp_path / "x.npz").rename(tmp_path / "x.NPZ")
    assert command(["describe", str(tmp_path / "x.NPZ")]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


@pytest.mark.parametrize("name", ["missing.npz", "bad\nname.npz", "model.pt"])
def test_what_cannot_be_read_exits_2_with_one_line(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(["describe", str(tmp_path / name)]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert len(printed.err.splitlines()) == 1
    assert printed.err.startswith("Error: cannot read ")


def _files(folder: Path, rng: np.random.Generator, scale: float) -> list[str]:
    np.savez(folder / "a.npz", old=rng.normal(size=(30, 40)), same=np.ones(3))
    np.savez(folder / "b.npz", new=scale * rng.normal(size=(40, 30)), same=np.ones(3))
    (folder / "map.json").write_text(json.dumps({"old": "new"}))
    return ["compare", str(folder / "a.npz"), str(folder / "b.npz")]


def test_compare_exits_0_where_nothing_differs(
    tmp_path: Path, rng: np.random.Generator, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = _files(tmp_path, rng, 1.0)
    assert command([*arguments, "--map", str(tmp_path / "map.json")]) == 0
    lines = capsys.readouterr().out.strip().splitlines()
    assert [re.split(r"  +", line)[-1] for line in lines[1:3]] == ["same distribution", "equal"]
    told = "1 equal to the bit, 1 without a difference in distribution"
    assert lines[-1] == f"2 parameters: {told}; 0 missing in B, 0 only in B"
    assert command(arguments) == 1
    assert "missing in B: old\nonly in B: new\n" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["compare", "describe"])
def test_a_reader_that_stops_early_does_not_change_the_exit_status(name: str, tmp_path: Path) -> None:
    files = [str(tmp_path / file) for file in ("a.npz", "b.npz")][: 2 if name == "compare" else 1]
    for file in files:
        arrays: dict[str, Any] = {str(index): np.ones(3) for index in range(2000)}
        np.savez(file, **arrays)
    called = [sys.executable, "-m", "jaxinit_conformance", name, *files]
    with subprocess.Popen(called, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stderr
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == ""
        assert process.wait() == 0


def test_compare_exits_1_where_something_differs(
    tmp_path: Path, rng: np.random.Generator, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command([*_files(tmp_path, rng, 3.0), "--map", str(tmp_path / "map.json")]) == 1
    assert "  differs\n" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (b"", "map.json: it is not JSON"),
        (b"\xff\xfe", "map.json: it is not JSON"),
        (b"[" * 100_000, "map.json: it is not JSON"),
        (b"[]", "map.json: expected an object from names of A to names of B"),
        (b'{"old": 1}', "map.json: expected an object from names of A to names of B"),
        (b'{"absent": "new"}', "--map must name parameters of A, got 'absent'"),
        (b'{"old": "absent"}', "--map must name parameters of B, got 'absent'"),
        (None, "map.json: No such file or directory"),
    ],
)
def test_a_bad_map_exits_2_with_one_line(
    content: bytes | None,
    line: str,
    tmp_path: Path,
    rng: np.random.Generator,
    capsys: pytest.CaptureFixture[str],
) -> None:
    arguments = _files(tmp_path, rng, 1.0)
    (tmp_path / "map.json").unlink() if content is None else (tmp_path / "map.json").write_bytes(content)
    assert command([*arguments, "--map", str(tmp_path / "map.json")]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("Error: ")
    assert printed.err.endswith(f"{line}\n")
    assert len(printed.err.splitlines()) == 1


def test_a_missing_file_exits_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command(["compare", str(tmp_path / "a.npz"), str(tmp_path / "b.npz")]) == 2
    assert "a.npz: No such file or directory" in capsys.readouterr().err
