from __future__ import annotations

import json
from typing import Any

import pytest
from tests.engine.openai.chat_servers import (
    events,
    misbehaving,
    said,
    status,
)
from tests.engine.openai.endpoint_requests import request

from analystd.engine.openai.client import Server
from analystd.engine.openai.engine import EndpointEngine
from analystd.engine.openai.refused_parameters import LIMITS, OPTIONAL
from analystd.wire.errors import EngineUnavailableError

pytestmark = pytest.mark.slow


async def asked_twice(refusals: list[bytes]) -> list[dict[str, Any]]:
    """The bodies of the requests of two replies of a server that refuses at first."""
    fine = events(said("here", "stop"))
    async with misbehaving(*refusals, fine, fine) as server:
        engine = EndpointEngine(Server(server.url))
        for _ in range(2):
            assert (await engine.generate(request(), lambda text: False)).text == "here"
        await engine.aclose()
    return [asked["body"] for asked in server.asked[1:]]


@pytest.mark.parametrize("refused", [*OPTIONAL, "max_tokens"])
async def test_a_parameter_that_a_server_refuses_is_left_out_from_then_on(refused: str) -> None:
    refusal = {"error": {"message": f"Unsupported parameter: '{refused}'", "param": refused}}
    bodies = await asked_twice([status(400, json.dumps(refusal))])
    assert [refused in body for body in bodies] == [True, False, False]
    kept = {*OPTIONAL, "max_tokens"} - {refused}
    assert all(kept <= body.keys() for body in bodies)
    assert [body.get("max_completion_tokens") for body in bodies[1:]] == [12 if refused == "max_tokens" else None] * 2


async def test_several_parameters_are_refused_one_after_the_other() -> None:
    refusals = [status(422, json.dumps({"detail": [{"loc": ["body", name]}]})) for name in OPTIONAL]
    refusals += [status(400, f'{{"error": "{name} is unknown"}}') for name in LIMITS]
    bodies = await asked_twice(refusals)
    assert bodies[-1].keys() == bodies[-2].keys() == {"model", "messages", "stream"}


async def test_a_wrongly_guessed_parameter_is_sent_again() -> None:
    dark = status(400, '{"error": "no"}')
    async with misbehaving(dark, dark, events(said("here", "stop"))) as server:
        engine = EndpointEngine(Server(server.url))
        with pytest.raises(EngineUnavailableError, match=r"rejects the request \(400\): no"):
            await engine.generate(request(), lambda text: False)
        await engine.generate(request(), lambda text: False)
        await engine.aclose()
    assert ["stream_options" in asked["body"] for asked in server.asked[1:]] == [True, False, True]


async def test_a_guess_that_helped_is_remembered() -> None:
    bodies = await asked_twice([status(400, '{"error": "no"}')])
    assert ["stream_options" in body for body in bodies] == [True, False, False]


async def test_max_tokens_is_limited_to_the_maximum_of_the_server() -> None:
    refusal = "max_tokens is too large: 12. This model supports at most 9 completion tokens"
    bodies = await asked_twice([status(400, json.dumps({"error": {"message": refusal, "param": "max_tokens"}}))])
    assert [body["max_tokens"] for body in bodies] == [12, 9, 9]
