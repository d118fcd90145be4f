"""Two trees: both error rates kept, names and sizes matched, what differs said."""

import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from jaxinit_conformance.weights.compare import Row, compare
from tests.conformance.command import jaxinit

pytestmark = pytest.mark.usefixtures("rare_errors")


def _row(a: np.ndarray, b: np.ndarray) -> Row:
    (row,) = compare({"a": a}, {"a": b}).rows
    return row


def test_the_same_distribution_is_the_same(rng: np.random.Generator) -> None:
    a = {str(index): rng.normal(0.0, 0.02, (20, 50)) for index in range(100)}
    b = {str(index): rng.normal(0.0, 0.02, (50, 20)).astype(np.float32) for index in range(100)}
    found = compare(a, b)
    assert found.same
    assert {row.verdict for row in found.rows} == {"same"}


def test_light_tails_raise_no_false_alarm(rng: np.random.Generator) -> None:
    a, b = ({str(index): rng.uniform(-1, 1, (20, 50)) for index in range(100)} for _ in range(2))
    assert compare(a, b).same


def test_coarser_dtypes_do_not_differ_for_their_rounding(rng: np.random.Generator) -> None:
    for dtype in (ml_dtypes.bfloat16, np.float16, ml_dtypes.float8_e4m3fn):
        assert _row(rng.normal(size=(60, 100)), rng.normal(size=(60, 100)).astype(dtype)).verdict == "same"


def test_what_is_said_to_be_detectable_is_detected(rng: np.random.Generator) -> None:
    size = (60, 100)
    same = _row(rng.normal(size=size), rng.normal(size=size))
    assert same.verdict == "same"
    ratio = same.detectable_ratio * 1.01  # the widening for heavy tails differs between samples
    for factor in (ratio, 1 / ratio):
        row = _row(rng.normal(size=size), factor * rng.normal(size=size))
        assert row.verdict == "differs"
        assert row.ratio == pytest.approx(factor, rel=0.2)
    # Its distribution function is off by so much in the middle.
    shifted = np.where(rng.random(size) < 2 * same.detectable, 0.5, rng.random(size))
    assert _row(rng.random(size), shifted).verdict == "differs"


def test_a_shape_of_the_same_scale_differs(rng: np.random.Generator) -> None:
    size = (200, 300)
    uniform = rng.uniform(-math.sqrt(3), math.sqrt(3), size)
    row = _row(rng.normal(size=size), uniform)
    assert row.verdict == "differs"
    assert row.ratio == pytest.approx(1.0, abs=0.05)


@pytest.mark.parametrize(
    ("a", "b", "verdict"),
    [
        (np.zeros(4), np.zeros(4), "same"),
        (np.zeros(4), np.ones(4), "differs"),
        (np.zeros(4), np.array([0.0, 0.1, 0.2, 0.3]), "differs"),
        (np.array([0.0, 0.1, 0.2, 0.3]), np.array([0.0, 9.0, 0.2, 0.3]), "undecided"),
        (np.ones(()), np.zeros(()), "undecided"),
        (np.array([0.0, 0.1, 0.2, 0.3]), np.array([0.0, 0.1, 0.2, 0.3]), "same"),
        (np.ones(4), np.ones(5), "error"),
        (np.ones((0, 3)), np.ones((3, 0)), "same"),
        (np.full(4, np.nan), np.full(4, np.nan), "undecided"),
        (np.arange(99.0), np.append(np.arange(98.0), np.nan), "differs"),
        (np.full(4, np.inf), np.full(4, np.inf), "same"),
        (np.ones(4, np.int32), np.ones(4, bool), "same"),
    ],
)
def test_small_and_constant_arrays(a: np.ndarray, b: np.ndarray, verdict: str) -> None:
    assert _row(a, b).verdict == verdict


def test_nan_on_one_side_differs(rng: np.random.Generator) -> None:
    values = rng.normal(size=4000)
    assert _row(values, np.where(values < 0, np.nan, values)).verdict == "differs"


def test_many_entries_are_compared_in_part(rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jaxinit_conformance.weights.compare._PAIRS", 5000)
    row = _row(rng.normal(size=20_000), rng.normal(size=20_000))
    assert row.verdict == "same"
    assert row.detectable == pytest.approx(_row(rng.normal(size=5000), rng.normal(size=5000)).detectable)


def test_names_are_matched_and_the_others_listed() -> None:
    ones = np.ones(4)
    a, b = {"x": ones, "only_a": ones, "old": ones}, {"x": ones, "only_b": ones, "new": ones}
    found = compare(a, b, {"old": "new"})
    assert [(row.name, row.other) for row in found.rows] == [("old", "new"), ("x", "x")]
    assert (found.missing, found.unexpected) == (("only_a",), ("only_b",))
    assert not found.same
    assert compare({"a": ones}, [ones], {"a": "0"}).same
    assert compare({}, {}).same


def test_names_of_torch_meet_names_of_flax() -> None:
    ones = np.ones(4)
    torchs = {"0.weight": ones, "1.weight": ones, "1.running_var": ones, "2.weight": ones, "3.weight": ones}
    flaxs = {"0.kernel": ones, "1.scale": ones, "1.var": ones, "2.kernel": ones, "2.embedding": ones, "3.kernel": ones}
    found = compare(torchs, flaxs, {"2.weight": "3.kernel"})
    assert [(row.name, row.other) for row in found.rows] == [
        *(("0.weight", "0.kernel"), ("1.running_var", "1.var"), ("1.weight", "1.scale")),
        ("2.weight", "3.kernel"),
    ]
    assert (found.missing, found.unexpected) == (("3.weight",), ("2.embedding", "2.kernel"))


@pytest.mark.parametrize("size", [2, 32, 100])
def test_few_entries_are_not_called_the_same(size: int, rng: np.random.Generator) -> None:
    row = _row(rng.uniform(-0.19, 0.19, size), rng.normal(0, 0.19, size))
    assert row.verdict == "undecided"
    assert row.detectable >= 1


@pytest.mark.parametrize(("mapping", "tree"), [({"absent": "b"}, "A"), ({"a": "absent"}, "B")])
def test_a_mapping_that_names_what_is_absent_is_refused(mapping: dict[str, str], tree: str) -> None:
    with pytest.raises(ValueError, match=rf"`mapping` must name parameters of {tree}, got 'absent'"):
        compare({"a": np.ones(2)}, {"b": np.ones(2)}, mapping)


def _files(folder: Path, rng: np.random.Generator, scale: float) -> list[str]:
    np.savez(folder / "a.npz", old=rng.normal(size=(30, 40)), same=np.ones(3))
    np.savez(folder / "b.npz", new=scale * rng.normal(size=(40, 30)), same=np.ones(3))
    (folder / "map.json").write_text(json.dumps({"old": "new"}))
    return ["compare", str(folder / "a.npz"), str(folder / "b.npz")]


def test_compare_exits_0_where_nothing_differs(
    tmp_path: Path, rng: np.random.Generator, capsys: pytest.CaptureFixture[str]
) -> None:
    command = _files(tmp_path, rng, 1.0)
    assert jaxinit([*command, "--map", str(tmp_path / "map.json")]) == 0
    lines = capsys.readouterr().out.strip().splitlines()
    assert [line.split("|")[-2].strip() for line in lines if line.startswith("|")].count("same") == 2
    few = "0 have too few entries to tell"
    assert lines[-1] == f"2 of 2 parameters show no difference, {few}, 0 are missing in B, 0 are only in B"
    assert jaxinit(command) == 1
    assert "missing in B: old\nonly in B: new\n" in capsys.readouterr().out


def test_tables_fit_100_columns_and_name_every_parameter(
    tmp_path: Path, rng: np.random.Generator, capsys: pytest.CaptureFixture[str]
) -> None:
    name = "encoder." * 20 + "weight"
    for file, shape in (("a.npz", (30, 4, 10)), ("b.npz", (3, 40, 10))):
        arrays: dict[str, Any] = {name: rng.normal(size=shape), "few|[red]": rng.normal(size=4)}
        np.savez(tmp_path / file, **arrays)
    for command in (
        ["compare", str(tmp_path / "a.npz"), str(tmp_path / "b.npz")],
        ["describe", str(tmp_path / "a.npz")],
    ):
        assert jaxinit(command) == 0
        table = [line for line in capsys.readouterr().out.splitlines() if line.startswith("|")]
        assert {len(line) for line in table} <= set(range(60, 101))
        assert name in "".join(line.split("|")[1].strip() for line in table)
        assert any(r"few\|[red]" in line for line in table)


@pytest.mark.parametrize("command", ["compare", "describe"])
def test_a_reader_that_stops_early_does_not_change_the_exit_status(command: str, tmp_path: Path) -> None:
    files = [str(tmp_path / name) for name in ("a.npz", "b.npz")][: 2 if command == "compare" else 1]
    for file in files:
        arrays: dict[str, Any] = {str(index): np.ones(3) for index in range(2000)}
        np.savez(file, **arrays)
    called = [sys.executable, "-m", "jaxinit_conformance", command, *files]
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
    assert jaxinit([*_files(tmp_path, rng, 3.0), "--map", str(tmp_path / "map.json")]) == 1
    assert "| differs |" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (b"", "map.json: it is not JSON"),
        (b"\xff\xfe", "map.json: it is not JSON"),
        (b"[" * 100_000, "map.json: it is not JSON"),
        (b"[]", "map.json: expected an object from names of A to names of B"),
        (b'{"old": 1}', "map.json: expected an object from names of A to names of B"),
        (b'{"absent": "new"}', "`mapping` must name parameters of A, got 'absent'"),
        (b'{"old": "absent"}', "`mapping` must name parameters of B, got 'absent'"),
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
    command = _files(tmp_path, rng, 1.0)
    (tmp_path / "map.json").unlink() if content is None else (tmp_path / "map.json").write_bytes(content)
    assert jaxinit([*command, "--map", str(tmp_path / "map.json")]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("Error: ")
    assert printed.err.endswith(f"{line}\n")
    assert len(printed.err.splitlines()) == 1


def test_a_missing_file_exits_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert jaxinit(["compare", str(tmp_path / "a.npz"), str(tmp_path / "b.npz")]) == 2
    assert "a.npz: No such file or directory" in capsys.readouterr().err
