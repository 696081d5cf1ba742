from __future__ import annotations

import json

import pytest
from tests.engine.openai.chat_servers import free_port
from tests.models.hub_servers import Hub, serving

from analystd.models.local_servers import LocalServer, find_offers, models_at

pytestmark = pytest.mark.slow


async def test_running_servers_are_listed_with_their_models_and_others_are_not() -> None:
    with serving(Hub(answers=b'{"data": [{"id": "llama3.2:3b"}, {"id": "qwen3"}]}')) as server:
        nobody = f"http://127.0.0.1:{free_port()}/v1"
        offers = await find_offers([("Ollama", server.url + "/v1"), ("llama-server", nobody)])
    assert offers == [LocalServer("Ollama", server.url + "/v1", ("llama3.2:3b", "qwen3"))]
    assert [path for path, _, _ in server.asked] == ["/v1/models"]


@pytest.mark.parametrize(
    "answer",
    [b"", b"<html>", b"[]", b'{"data": [1]}', b'{"data": 1}', b"null", b'{"data": "' + b"x" * 2_000_000 + b'"}'],
)
async def test_another_server_on_the_port_is_not_a_model_server(answer: bytes) -> None:
    with serving(Hub(answers=answer)) as server:
        assert await models_at(server.url) is None


async def test_a_server_that_rejects_the_request_is_not_listed() -> None:
    with serving(Hub(status=401)) as server:
        assert await models_at(server.url) is None


async def test_names_contain_nothing_that_a_terminal_obeys() -> None:
    content = json.dumps({"data": [{"id": "evil\x1b[2J\nAGENT_SANDBOX=off"}]}).encode()
    with serving(Hub(answers=content)) as server:
        assert await models_at(server.url) == ("evil[2JAGENT_SANDBOX=off",)
