"""A merged copy answers as the adapter does, and GGUF goes through llama.cpp's own converter."""

import pytest

from steelyard.adapters.merging import CONVERTER, find_converter, merge, to_gguf
from steelyard.core.errors import InputError, SetupError


# FIELD 18: a merge into other weights than those of training changes what comes out.
def test_a_merged_copy_answers_as_the_adapter_on_its_base(made, tmp_path):
    base, adapter, _ = made
    done = merge(base, adapter, tmp_path / "merged")
    assert done.away < 0.2  # bfloat16 keeps 8 bits
    assert (tmp_path / "merged" / "model.safetensors").is_file()
    assert [one.name for one in tmp_path.iterdir()] == ["merged"]
    with pytest.raises(InputError, match="there already"):
        merge(base, adapter, tmp_path / "merged")


def test_a_converter_that_is_not_there_is_told_before_anything_is_written(monkeypatch):
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("LLAMA_CPP", raising=False)
    with pytest.raises(SetupError, match="set LLAMA_CPP"):
        find_converter()


def test_the_converter_is_run_and_its_failure_told(monkeypatch, tmp_path):
    script = tmp_path / CONVERTER
    script.write_text(
        "import sys, pathlib\n"
        "folder, out = sys.argv[1], sys.argv[3]\n"
        "if 'bad' in folder: sys.exit('Model LlamaX is not supported')\n"
        "pathlib.Path(out).write_bytes(b'GGUF')\n"
    )
    monkeypatch.setenv("LLAMA_CPP", str(tmp_path))
    done = to_gguf(tmp_path / "good", tmp_path / "good.gguf")
    assert done.read_bytes() == b"GGUF"
    with pytest.raises(SetupError, match="LlamaX is not supported"):
        to_gguf(tmp_path / "bad", tmp_path / "bad.gguf")
    assert sorted(one.suffix for one in tmp_path.iterdir()) == [".gguf", ".py"]
