"""The local model answers like OpenAI's API, only to who has the key, and is the file we know."""

import os
from pathlib import Path

import httpx
import pytest
from orchestra.engines import binaries
from orchestra.engines import model as engine
from orchestra.engines.errors import EngineError
from orchestra.engines.testing import RunningModel

QUESTION = {
    "model": engine.MODEL_NAME,
    "messages": [{"role": "user", "content": "Say hello."}],
    "max_tokens": 8,
}


def test_it_answers_a_chat(model: RunningModel) -> None:
    answer = _ask(model, model.key).raise_for_status().json()
    assert answer["choices"][0]["message"]["content"]
    assert answer["usage"]["completion_tokens"] > 0


def test_it_answers_nobody_without_the_key(model: RunningModel) -> None:
    assert _ask(model, "wrong").status_code == 401


def test_a_damaged_file_is_refused(tmp_path: Path) -> None:
    damaged = tmp_path / "damaged.gguf"
    damaged.write_bytes(b"GGUF and nothing else")
    with pytest.raises(EngineError, match="is damaged"):
        engine.verify(damaged, memory=tmp_path / "model.json")


def test_a_file_that_was_checked_is_not_read_again(tmp_path: Path) -> None:
    memory = tmp_path / "model.json"
    engine.verify(binaries.model_file(), memory=memory)
    checked = memory.stat().st_mtime_ns
    engine.verify(binaries.model_file(), memory=memory)
    assert memory.stat().st_mtime_ns == checked


def test_a_file_that_changed_is_checked_again(tmp_path: Path) -> None:
    copy, memory = tmp_path / "copy.gguf", tmp_path / "model.json"
    copy.symlink_to(binaries.model_file())
    engine.verify(copy, memory=memory)
    copy.unlink()
    copy.write_bytes(b"replaced")
    os.utime(copy)
    with pytest.raises(EngineError, match="is damaged"):
        engine.verify(copy, memory=memory)


def _ask(model: RunningModel, key: str) -> httpx.Response:
    headers = {"Authorization": f"Bearer {key}"}
    return httpx.post(f"{model.url}/chat/completions", json=QUESTION, headers=headers, timeout=15)
