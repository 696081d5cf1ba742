"""Whole runs with a model behind a server: a real llama-server, and servers played as they answer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.model_servers import Answer, ModelServer, serving
from tests.engine.openai.chat_servers import xllamacpp_server
from tests.station import Station

from analystd.models.embedded import pull_embedded

Stations = Callable[..., Station]


@pytest.fixture
def stations(tmp_path: Path) -> Iterator[Stations]:
    made: list[Station] = []

    def make(url: str, **settings: str) -> Station:
        made.append(Station(tmp_path / str(len(made)), AGENT_MODEL_URL=url, **settings))
        return made[-1]

    yield make
    for station in made:
        station.stop()


def size(body: dict[str, Any]) -> int:
    """How long a prompt is, in characters."""
    return sum(len(message["content"]) for message in body["messages"])


def test_a_server_that_cuts_prompts_is_told_of_once_in_each_place(stations: Stations) -> None:
    shown = {"model_info": {"llama.context_length": 131072}}
    loaded = {"models": [{"name": "small:latest", "context_length": 8192}]}
    native = {"/api/show": shown, "/api/ps": loaded}
    with serving(ModelServer(lambda body: (200, "It is done."), native, prompt_tokens=40)) as server:
        station = stations(server.url, AGENT_MODEL_NAME="small")
        result = station.result("run", f"What is there? {'Look well. ' * 150}")
        assert result["answer"] == "It is done."
        (warning,) = result["warnings"]
        assert warning.startswith(f"The server at {server.url} read only 40 tokens of a longer prompt")
        assert station.result("status")["engine"]["warning"] == warning
        assert station.result("status")["engine"]["context_tokens"] == 8192
        told = station.run("run", f"What is there? {'Look well. ' * 150}")
        assert (told.stdout, told.stderr.count("read only 40 tokens")) == ("It is done.\n", 1)
        assert station.run("status").stdout.count("read only 40 tokens") == 1
    assert "/v1/models" not in server.paths


def test_a_run_is_cut_to_the_window_that_a_refusal_tells(stations: Stations) -> None:
    def answer(body: dict[str, Any]) -> Answer:
        if (tokens := size(body) // 2) + body["max_tokens"] > 4096:
            return 400, {
                "object": "error",
                "message": f"This model's maximum context length is 4096 tokens. However, you requested {tokens + body['max_tokens']} "
                f"tokens ({tokens} in the messages, {body['max_tokens']} in the completion). Please reduce the length of the messages.",
            }
        return 200, "Well."

    with serving(ModelServer(answer)) as server:
        station = stations(server.url, AGENT_MODEL_NAME="small")
        conversation = ""
        for number in range(5):
            more = ["--conversation", conversation] if conversation else []
            result = station.result("run", f"Number {number}? {'Look well. ' * 150}", *more)
            assert (result["status"], result["answer"]) == ("done", "Well.")
            conversation = result["conversation"]
        assert station.result("status")["engine"]["context_tokens"] == 4096
    refused = [body for body in server.asked if answer(body)[0] == 400]
    assert len(refused) == 1, [size(body) for body in server.asked]


def test_a_real_server_answers_and_tells_its_window(stations: Stations) -> None:
    with xllamacpp_server(pull_embedded(), context=4096, slots=2) as url:
        station = stations(url)
        result = station.result("run", "Say hello.", "--max-seconds", "60", check=None)
        assert result["status"] in ("done", "limit"), result
        assert result["usage"]["completion_tokens"] > 0
        assert "warnings" not in result
        assert station.result("status")["engine"]["context_tokens"] == 2048


def test_a_real_server_is_told_that_a_question_does_not_fit(stations: Stations) -> None:
    with xllamacpp_server(pull_embedded(), context=2048) as url:
        station = stations(url)
        result = station.result("run", "one two three " * 1000, check=None)
        assert (result["status"], result["error"]["kind"]) == ("failed", "invalid_arguments")
        assert "The question is too long" in result["answer"]
