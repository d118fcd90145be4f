"""Weights from files, hostile ones included."""

import contextlib
import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest
import safetensors.numpy

from jaxinit_conformance.weights import files


def _npy(array: np.ndarray, allow_pickle: bool = False) -> bytes:
    file = io.BytesIO()
    np.save(file, array, allow_pickle=allow_pickle)
    return file.getvalue()


def _zip(**members: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in members.items():
            archive.writestr(f"{name}.npy", content)
    return file.getvalue()


def _header(text: bytes) -> bytes:
    return len(text).to_bytes(8, "little") + text


def _promises_much() -> bytes:
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, {"descr": "<f4", "fortran_order": False, "shape": (10**15,)})
    return file.getvalue()


WHOLE = safetensors.numpy.save({"a": np.arange(6, dtype=np.float32)})
STRANGE = json.dumps({"a": {"dtype": "F4", "shape": [2], "data_offsets": [0, 1]}}).encode()

BAD = {
    "empty.safetensors": (b"", "header too small"),
    "garbage.safetensors": (b"garbage" * 9, "header too large"),
    "truncated.safetensors": (WHOLE[:-3], "not fully covered"),
    "words.safetensors": (_header(b'{"a": 1}'), "invalid"),
    "none.safetensors": (_header(b"{}"), "no arrays"),
    "strange.safetensors": (_header(STRANGE) + b"\0", "dtype F4"),
    "empty.npz": (b"", "not a zip archive"),
    "garbage.npz": (b"PK\x03\x04garbage", "not a zip archive"),
    "none.npz": (_zip(), "no arrays"),
    "pickled.npz": (_zip(a=_npy(np.array([{}], dtype=object), allow_pickle=True)), "pickled objects"),
    "words.npz": (_zip(a=_npy(np.array(["word"]))), "not numbers"),
    "text.npz": (_zip(a=b"not an array"), "not numbers"),
    "much.npz": (_zip(a=_promises_much()), "memory"),
    "short.npz": (_zip(a=_npy(np.ones(9))[:-8]), "expected"),
    "one.npz": (_npy(np.ones(3)), "not a zip archive"),
    "torch.pt": (b"", "In Python, jaxinit.describe"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_file_is_refused_in_one_line(name: str, tmp_path: Path) -> None:
    content, reason = BAD[name]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(files.WeightsError, match=rf"^cannot read .*{name}: .*{reason}.*$") as refused:
        files.read(tmp_path / name)
    assert len(str(refused.value).splitlines()) == 1


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    (tmp_path / "folder.npz").mkdir()
    for name, reason in (
        ("missing.npz", "No such file"),
        ("missing.safetensors", "No such"),
        ("folder.npz", "it is not a file"),
    ):
        with pytest.raises(files.WeightsError, match=rf"^cannot read .*{name}: {reason}"):
            files.read(tmp_path / name)


def _npz(arrays: dict[str, np.ndarray]) -> bytes:
    return _zip(**{name: _npy(array) for name, array in arrays.items()})


@pytest.mark.parametrize(("suffix", "save"), [("safetensors", safetensors.numpy.save), ("npz", _npz)])
def test_damaged_bytes_raise_nothing_else(
    suffix: str, save: Callable[[dict[str, np.ndarray]], bytes], tmp_path: Path, rng: np.random.Generator
) -> None:
    whole = np.frombuffer(save({"a": np.ones((2, 3), np.float32), "b": np.ones(4)}), np.uint8)
    path = tmp_path / f"x.{suffix}"
    for _ in range(200):
        damaged = whole.copy()
        damaged[rng.integers(damaged.size, size=3)] = rng.integers(256, size=3)
        path.write_bytes(damaged.tobytes()[: int(rng.integers(1, 2 * damaged.size))])
        with contextlib.suppress(files.WeightsError):
            files.read(path)


DTYPES = ("float16", "float32", "float64", "bfloat16", "float8_e4m3fn", "float8_e5m2", "int8", "uint32", "bool")


@pytest.mark.parametrize("dtype", [*DTYPES, "complex64"])
def test_safetensors_keep_every_dtype(dtype: str, tmp_path: Path) -> None:
    array = np.array([[1, 0, 1], [0, 1, 1]]).astype(jnp.dtype(dtype))
    path = tmp_path / "x.safetensors"
    path.write_bytes(safetensors.numpy.save({"a": array, "empty": array[:0]}))
    found = files.read(path)
    assert found["a"].dtype == array.dtype
    np.testing.assert_array_equal(found["a"], array)
    assert found["empty"].shape == (0, 3)


@pytest.mark.parametrize("dtype", ["<f4", ">f4", "<f8", "<i4", "bfloat16"])
def test_npz_reads_as_saved(dtype: str, tmp_path: Path) -> None:
    array = np.arange(6).reshape(2, 3).astype(jnp.dtype(dtype) if dtype == "bfloat16" else np.dtype(dtype))
    np.savez_compressed(tmp_path / "x.npz", array, named=array)
    found = files.read(tmp_path / "x.npz")
    assert list(found) == ["named", "arr_0"] or list(found) == ["arr_0", "named"]
    assert found["named"].dtype.isnative
    assert found["named"].dtype == array.dtype.newbyteorder("=")
    np.testing.assert_array_equal(found["named"].astype(np.float64), array.astype(np.float64))
