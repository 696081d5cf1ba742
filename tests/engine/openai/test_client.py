from __future__ import annotations

import logging

import pytest
from tests.engine.openai.chat_servers import (
    HANGS,
    events,
    misbehaving,
    said,
    status,
)
from tests.engine.openai.endpoint_requests import reply, request
from tests.models.flooding_servers import flooding

from analystd.engine.openai import client
from analystd.engine.openai.client import Server
from analystd.engine.openai.engine import EndpointEngine
from analystd.wire.errors import EngineUnavailableError

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("answer", [status(503), status(429, headers="Retry-After: 0\r\n"), b"", status(500, "oops")])
async def test_temporary_failures_are_retried(answer: bytes) -> None:
    async with misbehaving(answer, answer, events(said("here", "stop"))) as server:
        assert (await reply(server)).text == "here"


@pytest.mark.parametrize(
    ("answers", "message"),
    [
        ([status(503, '{"error": "busy"}')] * 4, r"failed with status 503: busy"),
        ([status(429)] * 4, r"is too busy \(429\): no reason given"),
        ([status(403)], r"rejects the API key \(403\)"),
        (
            [status(404, '{"error": {"message": "model not found"}}')],
            r"no such model or no such API \(404\): model not found",
        ),
        ([status(302, headers="Location: http://elsewhere/\r\n")], r"redirects to another address \(302\)"),
        (
            [status(400, '{"detail": "your key secret-key is fine"}')] * 2,
            r"rejects the request \(400\): your key … is fine",
        ),
        ([events(said("half"), end="")], r"broke off in the middle of its reply"),
        ([events("{no json")], r"sent an invalid chunk"),
        ([events({"error": {"message": "out of memory"}})], r"failed: out of memory"),
        ([events("[]")], r"sent an invalid chunk"),
    ],
)
async def test_errors_do_not_contain_the_key(
    answers: list[bytes], message: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    async with misbehaving(*answers) as server:
        with pytest.raises(EngineUnavailableError, match=message) as caught:
            await reply(server)
    assert "secret-key" not in f"{caught.value}{caught.value.hint}{caplog.text}"
    assert caught.value.__cause__ is None


async def test_an_unreachable_server_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = EndpointEngine(Server("http://user:password@127.0.0.1:9/v1?token=abc", "k"))
    with pytest.raises(EngineUnavailableError, match=r"The model server at http://127\.0\.0\.1:9/v1 cannot be reached"):
        await engine.load()
    assert engine.info().goes == "text goes to a server on this machine: http://127.0.0.1:9/v1"


async def test_a_silent_server_times_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "_SILENCE_SECONDS", 0.2)
    async with misbehaving(events(said("so "), end="") + HANGS) as server:
        with pytest.raises(EngineUnavailableError, match="was silent for"):
            await reply(server)


async def test_informational_responses_do_not_extend_the_time_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "_SILENCE_SECONDS", 0.5)
    with flooding() as flood:
        flood.kind = "informational answers"
        engine = EndpointEngine(Server(f"{flood.url}/v1"))
        with pytest.raises(EngineUnavailableError, match="does not answer in time"):
            await engine.generate(request(), lambda text: False)
        await engine.aclose()


@pytest.mark.parametrize("kind", ["text/html", "application/json"])
async def test_a_page_instead_of_a_reply_is_reported(kind: str) -> None:
    async with misbehaving(status(200, '{"html": "Log in"}', f"Content-Type: {kind}\r\n")) as server:
        with pytest.raises(EngineUnavailableError, match="does not answer as a model server"):
            await reply(server)


async def test_a_named_model_of_an_unreachable_server_is_reported() -> None:
    with pytest.raises(EngineUnavailableError, match="cannot be reached"):
        await EndpointEngine(Server("http://127.0.0.1:9/v1"), "some-model").load()


async def test_another_kind_of_server_is_reported() -> None:
    async with misbehaving() as server:
        server.answers = [status(200, "<html>hello</html>")]
        with pytest.raises(EngineUnavailableError, match="does not answer as a model server"):
            await EndpointEngine(Server(server.url)).load()


@pytest.mark.parametrize("url", ["no url", "http://[::1/v1", "ftp://x/y"])
async def test_an_invalid_url_is_reported(url: str) -> None:
    with pytest.raises(EngineUnavailableError):
        await EndpointEngine(Server(url)).load()
    assert EndpointEngine(Server(url)).info().kind == "endpoint"
