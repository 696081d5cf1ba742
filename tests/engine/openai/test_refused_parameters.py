"""The error texts of servers, as documented, as reported by their users, or as answered by the real one."""

from __future__ import annotations

import pytest

from analystd.engine.openai.refused_parameters import LIMITS, OPTIONAL, Parameters, Refusal

OPENAI_LIMIT = (
    '{"error": {"message": "Unsupported parameter: \'max_tokens\' is not supported with this model. Use '
    '\'max_completion_tokens\' instead.", "type": "invalid_request_error", "param": "max_tokens", "code": "unsupported_parameter"}}'
)
OPENAI_TEMPERATURE = (
    '{"error": {"message": "Unsupported value: \'temperature\' does not support 0 with this model. Only the default (1) value is '
    'supported.", "type": "invalid_request_error", "param": "temperature", "code": "unsupported_value"}}'
)
AZURE_ARGUMENT = (
    '{"error": {"message": "Unrecognized request argument supplied: stream_options", "param": null, "code": null}}'
)
AZURE_POINTER = '{"error": {"code": 400, "message": "Validation error at #/seed: Extra inputs are not permitted"}}'
AZURE_EXTRA = '{"error": {"message": "Extra parameters [\'seed\', \'stream_options\'] are not allowed when extra-parameters is not set."}}'
AZURE_NESTED = (
    r'{"error":{"code":"Invalid input","status":422,"message":"{\"detail\":[{\"type\":\"extra_forbidden\",\"loc\":[\"body\",'
    r'\"stream_options\",\"include_usage\"],\"msg\":\"Extra inputs are not permitted\",\"input\":true}]}"}}'
)
MISTRAL = (
    '{"object":"error","message":{"detail":[{"type":"extra_forbidden","loc":["body","seed"],"msg":"Extra inputs are not permitted",'
    '"input":0}]},"type":"invalid_request_error","param":null,"code":null}'
)
VLLM = "{'object': 'error', 'message': \"[{'type': 'extra_forbidden', 'loc': ('body', 'seed'), 'msg': 'Extra inputs are not permitted'}]\"}"
LITELLM = (
    '{"error": {"message": "litellm.UnsupportedParamsError: openai does not support parameters: [\'temperature\'], for model=o1. To drop '
    'these, set `litellm.drop_params=True`", "type": null, "param": null, "code": "400"}}'
)
LLAMA_SERVER = (
    '{"error":{"code":400,"message":"Field \'temperature\': [json.exception.type_error.302] type must be number, but is string",'
    '"type":"invalid_request_error"}}'
)
PLAIN = "unknown field: `stream_options`"


@pytest.mark.parametrize(
    ("said", "parameters"),
    [
        (OPENAI_LIMIT, ("max_tokens",)),
        (OPENAI_TEMPERATURE, ("temperature",)),
        (AZURE_ARGUMENT, ("stream_options",)),
        (AZURE_POINTER, ("seed",)),
        (AZURE_EXTRA, ("seed", "stream_options")),
        (AZURE_NESTED, ("stream_options",)),
        (MISTRAL, ("seed",)),
        (VLLM, ("seed",)),
        (LITELLM, ("temperature",)),
        (LLAMA_SERVER, ("temperature",)),
        (PLAIN, ("stream_options",)),
        ('{"error": "no"}', ()),
    ],
)
def test_the_parameters_that_a_refusal_names_are_known(said: str, parameters: tuple[str, ...]) -> None:
    refusal = Refusal(said)
    assert refusal.parameters == parameters
    assert not refusal.is_about_tools
    assert not refusal.is_about_length
    assert not refusal.is_about_model


TOOLS = [
    '{"error":{"message":"registry.ollama.ai/library/gemma3:latest does not support tools","type":"api_error","param":null,"code":null}}',
    '{"object":"error","message":"\\"auto\\" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set","code":400}',
    '{"error":{"code":500,"message":"tools param requires --jinja flag","type":"server_error"}}',
    '{"detail":[{"type":"extra_forbidden","loc":["body","tools"],"msg":"Extra inputs are not permitted","input":[{"function":{"name":"x",'
    '"parameters":{"properties":{"seed":{},"temperature":{}}}}}]}]}',
]


@pytest.mark.parametrize("said", TOOLS)
def test_a_server_without_tools_does_not_remove_a_parameter(said: str) -> None:
    assert Refusal(said).is_about_tools
    assert Refusal(said).parameters == ()
    assert not Parameters().adapt(Refusal(said))


LENGTHS = [
    (
        '{"error":{"code":400,"message":"request (9031 tokens) exceeds the available context size (1024 tokens), try increasing it",'
        '"type":"exceed_context_size_error","n_prompt_tokens":9031,"n_ctx":1024}}',
        1024,
        9031,
    ),
    (
        '{"object":"error","message":"This model\'s maximum context length is 16384 tokens. However, you requested 122946 tokens (112946 in '
        'the messages, 10000 in the completion). Please reduce the length of the messages or completion.","type":"BadRequestError"}',
        16384,
        112946,
    ),
    (
        "{\"error\":{\"message\":\"'max_tokens' or 'max_completion_tokens' is too large: 1024. This model's maximum context length is 2048 "
        'tokens and your request has 1500 input tokens (1024 > 2048 - 1500).","param":"max_tokens","code":400}}',
        2048,
        1500,
    ),
    (
        '{"error":{"message":"This model\'s maximum context length is 128000 tokens. However, your messages resulted in 130001 tokens. Please '
        'reduce the length of the messages.","type":"invalid_request_error","param":"messages","code":"context_length_exceeded"}}',
        128000,
        130001,
    ),
    (
        '{"error":"Trying to keep the first 5000 tokens when context the overflows. However, the model is loaded with context length of only '
        '4096 tokens, which is not enough."}',
        4096,
        None,
    ),
    ('{"error":{"message":"Requested tokens (2285) exceed context window of 2048","code":null}}', 2048, 2285),
    ('{"error":{"message":"prompt is too long: 208310 tokens > 200000 maximum"}}', 200000, 208310),
]


@pytest.mark.parametrize(("said", "window", "prompt_tokens"), LENGTHS)
def test_a_prompt_that_is_too_long_is_not_a_rejected_parameter(
    said: str, window: int, prompt_tokens: int | None
) -> None:
    refusal = Refusal(said)
    assert refusal.is_about_length
    assert (refusal.window, refusal.prompt_tokens) == (window, prompt_tokens)
    assert not Parameters().adapt(refusal)


@pytest.mark.parametrize(
    "said",
    [
        '{"error":{"message":"model \\"llama9\\" not found, try pulling it first","type":"api_error"}}',
        '{"error":{"message":"The model `gpt-9` does not exist or you do not have access to it.","code":"model_not_found","param":null}}',
        '{"message":"Invalid model: x","type":"invalid_model","code":"1500"}',
    ],
)
def test_a_missing_model_is_not_a_rejected_parameter(said: str) -> None:
    assert Refusal(said).is_about_model
    assert not Parameters().adapt(Refusal(said))


def test_a_reference_to_another_field_leads_to_no_guess() -> None:
    refusal = Refusal(
        '{"detail":[{"loc":["body","messages",0,"content"],"msg":"Input should be a valid string","input":"seed"}]}'
    )
    assert not Parameters().adapt(refusal)


def test_a_refusal_repeated_changes_nothing_more() -> None:
    parameters = Parameters()
    assert parameters.adapt(Refusal(OPENAI_TEMPERATURE))
    assert not parameters.adapt(Refusal(OPENAI_TEMPERATURE))
    sent = parameters.of(max_tokens=5, temperature=0.0, seed=1)
    assert sent == {"max_tokens": 5, "seed": 1, "stream_options": {"include_usage": True}}


def test_a_server_that_rejects_everything_is_not_asked_forever() -> None:
    parameters, everything = Parameters(), Refusal(" ".join((*OPTIONAL, *LIMITS)))
    assert [parameters.adapt(everything) for _ in range(3)] == [True, True, False]
    assert parameters.of(max_tokens=5, temperature=0.0, seed=1) == {}


@pytest.mark.parametrize(
    "said",
    ["param: '" * 8000, "loc: [" * 10_000, "max_tokens at " * 4000, "model " * 10_000, "context size" + "x" * 60_000],
)
@pytest.mark.timeout(10)
def test_a_hostile_refusal_is_parsed_quickly(said: str) -> None:
    refusal = Refusal(said[:65536])
    Parameters().adapt(refusal)
    assert refusal.window is refusal.prompt_tokens is refusal.most_tokens is None
