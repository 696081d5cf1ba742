from __future__ import annotations

import pytest
from tests.engine.openai.chat_servers import (
    events,
    misbehaving,
    models,
    said,
    status,
)
from tests.engine.openai.endpoint_requests import request

from analystd.engine.openai.client import Server
from analystd.engine.openai.engine import EndpointEngine
from analystd.wire.errors import EngineUnavailableError

pytestmark = pytest.mark.slow


async def test_a_server_with_several_models_requires_a_name() -> None:
    async with misbehaving() as server:
        server.answers = [models("a", "b")]
        with pytest.raises(EngineUnavailableError, match="has 2 models") as caught:
            await EndpointEngine(Server(server.url)).load()
        assert caught.value.hint == "Set AGENT_MODEL_NAME to one of them. It has: a, b."


async def test_a_named_model_is_used_without_requesting_the_list() -> None:
    async with misbehaving() as server:
        server.answers = [events(said("hello", "stop"))]
        engine = EndpointEngine(Server(server.url), "some-model")
        assert (await engine.generate(request(), lambda text: False)).text == "hello"
        await engine.aclose()
    assert [asked["body"]["model"] for asked in server.asked] == ["some-model"]


UNKNOWN = (
    status(404, '{"error": {"message": "model \\"llama3.2\\" not found", "type": "not_found_error"}}'),
    status(404, '{"error": {"message": "The model `llama3.2` does not exist.", "code": 404}}'),
    status(400, '{"message": "Invalid model: llama3.2", "code": "1500"}'),
)


@pytest.mark.parametrize("unknown", UNKNOWN)
async def test_a_name_without_ollamas_latest_finds_the_model(unknown: bytes) -> None:
    async with misbehaving() as server:
        hello = events(said("hello", "stop"))
        server.answers = [unknown, models("qwen3:8b", "llama3.2:latest"), hello, hello]
        engine = EndpointEngine(Server(server.url), "llama3.2")
        for _ in range(2):
            assert (await engine.generate(request(), lambda text: False)).text == "hello"
        await engine.aclose()
    assert engine.info().model == "llama3.2:latest"
    asked = [each["body"] and each["body"]["model"] for each in server.asked]
    assert asked == ["llama3.2", None, "llama3.2:latest", "llama3.2:latest"]


@pytest.mark.parametrize("unknown", UNKNOWN)
async def test_a_wrong_name_is_reported_with_the_available_models(unknown: bytes) -> None:
    async with misbehaving() as server:
        server.answers = [unknown, models("qwen3:8b", "gemma3")]
        engine = EndpointEngine(Server(server.url), "llama3.2")
        with pytest.raises(EngineUnavailableError, match=r"has no model 'llama3\.2'") as caught:
            await engine.generate(request(), lambda text: False)
        assert caught.value.hint == "It has: qwen3:8b, gemma3."
        await engine.aclose()


@pytest.mark.parametrize(
    "listing", [status(404), status(403), status(503), status(200, "<html>"), models("llama3.2"), b""]
)
async def test_an_error_is_kept_when_the_list_does_not_explain_it(listing: bytes) -> None:
    async with misbehaving() as server:
        server.answers = [UNKNOWN[0], listing]
        engine = EndpointEngine(Server(server.url), "llama3.2")
        with pytest.raises(EngineUnavailableError, match=r"no such model or no such API \(404\)"):
            await engine.generate(request(), lambda text: False)
        await engine.aclose()
