"""The model: how fast it reads and writes, alone and in parallel, beside llama-cpp-python and llama-server on the same GGUF and threads.

What a user waits for is measured through client, socket, daemon and the jailed worker; what no command offers (a required call with a long
argument, four given prompts at once) through the engine with its jailed worker, which the daemon uses too.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import itertools
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import llama_cpp

from analystd.agent.prompt import example_turns, system_prompt
from analystd.client import Client, Event, connect
from analystd.engine.base import Completion, GenerateRequest, Message, ToolSpec
from analystd.engine.llama.amx_workaround import without_tiles
from analystd.engine.llama.cpu_count import usable_cores
from analystd.engine.llama.engine import LlamaEngine
from analystd.engine.llama.worker_sandbox import WorkerSandbox
from analystd.jail.sandbox import measure_sandbox
from analystd.models.embedded import pull_embedded
from analystd.wire.names import EventKind

CONTEXT = 4096
TOKENS = 64
PARALLEL = 4
REMEMBERED_REPLIES = 8
"""The number of replies whose speed `status` reports."""
FREE = "llama-cpp-python, free"
PARTS = ("writing", "runs", "steps", "company", "equality", "cancelling", "starts")

TOPICS = (
    "the sea",
    "a fox",
    "an old clock",
    "a lighthouse",
    "winter",
    "a market",
    "the moon",
    "a violin",
    "rain",
    "a train",
)
STORIES = tuple(
    f"{verb} {topic}." for verb in ("Tell me a long story about", "Explain what is interesting in") for topic in TOPICS
)
PYTHON = ToolSpec(
    "pyexe",
    "Run Python.",
    {"type": "object", "properties": {"code": {"type": "string"}}, "required": ["code"], "additionalProperties": False},
)
AS_LONG_AS_OURS = "You tell long stories about whatever people ask for. " * 49
"""Makes the peer's prompt as long as that of a run, which contains the tools."""
SERVER = """
import sys, time
import xllamacpp
from analystd.engine.llama.amx_workaround import without_tiles
params = xllamacpp.CommonParams()
params.model.path, params.port, params.n_ctx, params.n_parallel = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
params.cpuparams.n_threads = params.cpuparams_batch.n_threads = int(sys.argv[5])
params.use_jinja = True
with without_tiles():
    server = xllamacpp.Server(params)
    while True:
        time.sleep(1)
"""


Ask = Callable[[int], Awaitable[object]]


@dataclass
class Ear:
    """Receives a reply and records the times of its pieces."""

    times: list[float] = field(default_factory=list)
    heard: asyncio.Event = field(default_factory=asyncio.Event)

    def __call__(self, text: str) -> bool:
        self.times.append(time.perf_counter())
        self.heard.set()
        return False


async def main() -> None:
    options = arguments()
    model = options.model or pull_embedded()
    print(
        f"{model.name}, {usable_cores()} threads; load average {os.getloadavg()[0]:.1f}; medians of {options.rounds} rounds",
        flush=True,
    )
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        home = Path(folder)
        async with jailed_engine(model, home) as engine:
            parts: dict[str, Callable[[], Awaitable[None]]] = {
                "writing": lambda: writing(engine, model, options.rounds),
                "steps": lambda: steps(engine),
                "company": lambda: company(engine, model, options.rounds),
                "equality": lambda: equality(engine, options.prompts),
                "cancelling": lambda: cancelling(engine, options.rounds),
            }
            for name, measure in parts.items():
                if name in options.only:
                    await measure()
        if "runs" in options.only:
            await runs(model, home, options.rounds)
        if "starts" in options.only:
            await starts(model, home, options.rounds)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5, help="of each measurement (default: 5)")
    parser.add_argument(
        "--prompts", type=int, default=20, help="of which replies alone and in company are compared (20 at most)"
    )
    parser.add_argument("--model", type=Path, help="a GGUF file (default: the embedded model)")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS, help="these parts (default: all)")
    return parser.parse_args()


@asynccontextmanager
async def jailed_engine(model: Path, home: Path) -> AsyncIterator[LlamaEngine]:
    sandbox = await measure_sandbox("auto")
    print(f"sandbox level {sandbox.level}")
    walls = WorkerSandbox(sandbox, home / "worker")
    engine = LlamaEngine(lambda: model, context_tokens=CONTEXT, walls=walls, prefixes=home / "prefixes")
    try:
        await engine.load()
        yield engine
    finally:
        await engine.aclose()


def request(prompt: str, sequence: str = "bench", **how: Any) -> GenerateRequest:
    return GenerateRequest(sequence, (Message("user", prompt),), **{"max_tokens": TOKENS, **how})


async def writing(engine: LlamaEngine, model: Path, rounds: int) -> None:
    """Measure tokens per second from the first token on."""
    peer = free_peer(model)
    asked = "Write a long Python program that plots the prices, with many comments."
    ours: dict[str, list[float]] = {
        "required call, long argument": [],
        "text, grammar armed": [],
        "text, no grammar": [],
    }
    choices: tuple[dict[str, Any], ...] = ({"tools": (PYTHON,), "tool_choice": "required"}, {"tools": (PYTHON,)}, {})
    theirs: list[float] = []
    for number in range(rounds + 1):
        theirs.append(peers_speed(peer, asked))
        for what, choice in zip(ours, choices, strict=True):
            engine.forget("bench")
            ear = Ear()
            completion = await engine.generate(request(asked, **choice), ear)
            ours[what].append((completion.completion_tokens - 1) / (time.perf_counter() - ear.times[0]))
        if number == 0:
            for each in (theirs, *ours.values()):
                each.clear()
    peer.close()
    for what, speeds in ours.items():
        row(
            f"writing: {what}",
            statistics.median(speeds),
            "tokens/s",
            FREE,
            statistics.median(theirs),
        )


def peers_speed(peer: llama_cpp.Llama, prompt: str, system: str | None = None) -> float:
    messages = [{"role": "user", "content": prompt}]
    if system is not None:
        messages.insert(0, {"role": "system", "content": system})
    peer.reset()
    times = [
        time.perf_counter()
        for _ in peer.create_chat_completion(messages, max_tokens=TOKENS, temperature=0, stream=True)
    ]
    # The first chunk only has the role, the last one the reason.
    return (len(times) - 3) / (times[-2] - times[1])


async def runs(model: Path, home: Path, rounds: int) -> None:
    """Measure tokens per second of agent runs, under the tools' grammar after a tag: of text at the client, of calls as `status` reports it."""
    set_up_home(model, home)
    peer = free_peer(model)
    heard: list[float] = []
    theirs: list[float] = []
    async with connect(f"{home}/workspace") as desk:
        for _ in range(rounds + 1):
            theirs.append(peers_speed(peer, STORIES[0], AS_LONG_AS_OURS))
            heard.append(await text_speed(desk, peer, STORIES[0]))
        median = statistics.median(theirs[1:])
        row("a run's text, through the daemon", statistics.median(heard[1:]), "tokens/s", FREE, median)
        await desk.write_file("prices.csv", "day,close\n1,17.5\n2,18.25\n")
        theirs.clear()
        for _ in range(REMEMBERED_REPLIES // 2):
            theirs.append(peers_speed(peer, STORIES[0], AS_LONG_AS_OURS))
            await desk.run_agent("How many rows does prices.csv have?")
        told = (await desk.status())["engine"]["tokens_per_second"]
        row("runs that call and answer, as `status` tells", told, "tokens/s", FREE, statistics.median(theirs))
        await desk.shutdown(now=True)
    peer.close()


async def text_speed(desk: Client, peer: llama_cpp.Llama, prompt: str) -> float:
    """Return the speed from the first piece of the answer, which is not counted, for as many tokens as the peer writes."""
    pieces: list[tuple[float, str]] = []

    def listen(event: Event) -> None:
        if event["kind"] == EventKind.TEXT:
            pieces.append((time.perf_counter(), event["text"]))

    stop = desk.on_event(listen)
    result = await desk.run_agent(prompt, max_steps=2)
    stop()
    assert len(pieces) > 1, result
    times, texts = zip(*pieces, strict=True)
    counts: list[int] = [len(peer.tokenize(text.encode(), add_bos=False)) for text in texts[1:]]
    enough = next(
        (place for place, count in enumerate(itertools.accumulate(counts)) if count >= TOKENS), len(counts) - 1
    )
    seconds: float = times[enough + 1] - times[0]
    return sum(counts[: enough + 1]) / seconds


def free_peer(model: Path) -> llama_cpp.Llama:
    with without_tiles():
        return llama_cpp.Llama(
            str(model), n_ctx=CONTEXT, n_threads=usable_cores(), n_threads_batch=usable_cores(), verbose=False
        )


async def steps(engine: LlamaEngine) -> None:
    """Measure what each step of a run processes, and what it really added."""
    tools = (PYTHON,)
    messages: tuple[Message, ...] = (
        Message("system", system_prompt(tools, ["prices.csv"])),
        *example_turns(tools),
        Message("user", "What is the mean of the prices in prices.csv?"),
    )
    told = []
    known = 0
    for number in range(4):
        how: dict[str, Any] = {"tools": tools, "tool_choice": "required"} if number < 3 else {}
        completion = await engine.generate(GenerateRequest("steps", messages, max_tokens=96, **how), Ear())
        told.append(
            f"{completion.prompt_tokens - completion.cached_tokens} of {completion.prompt_tokens} (added {completion.prompt_tokens - known})"
        )
        known = completion.prompt_tokens + completion.completion_tokens
        messages = (*messages, Message("assistant", completion.text), Message("tool", "Result of pyexe:\n17.25"))
    print(f"{'steps of a run: tokens processed':<46} {'; '.join(told)}", flush=True)


async def company(engine: LlamaEngine, model: Path, rounds: int) -> None:
    """Measure the seconds until four conversations have their replies, one after the other and at once, ours and llama-server's."""
    prompts = STORIES[:PARALLEL]
    seconds: dict[str, list[float]] = {
        "ours in turn": [],
        "ours at once": [],
        "server in turn": [],
        "server at once": [],
    }
    with llama_server(model) as url:
        async with httpx.AsyncClient(
            base_url=url, timeout=600, trust_env=False, limits=httpx.Limits(max_keepalive_connections=0)
        ) as client:
            asks: dict[str, Ask] = {
                "ours": lambda index: ask(engine, prompts[index], index),
                "server": lambda index: ask_over_http(client, prompts[index]),
            }
            for number in range(rounds + 1):
                # The first round is only a warm-up.
                for who, ask_one in asks.items():
                    started = time.perf_counter()
                    for index in range(PARALLEL):
                        await ask_one(index)
                    between = time.perf_counter()
                    await asyncio.gather(*(ask_one(index) for index in range(PARALLEL)))
                    if number:
                        seconds[f"{who} in turn"].append(between - started)
                        seconds[f"{who} at once"].append(time.perf_counter() - between)
    medians = {what: statistics.median(each) for what, each in seconds.items()}
    for how in ("in turn", "at once"):
        row(
            f"{PARALLEL} conversations {how}, {TOKENS} tokens each",
            medians[f"ours {how}"],
            "s",
            "llama-server",
            medians[f"server {how}"],
        )
    print(
        f"    at once / in turn: ours {medians['ours at once'] / medians['ours in turn']:.2f}, "
        f"llama-server {medians['server at once'] / medians['server in turn']:.2f}",
        flush=True,
    )


async def ask(engine: LlamaEngine, prompt: str, number: int) -> Completion:
    engine.forget(f"c{number}")
    return await engine.generate(request(prompt, f"c{number}"), Ear())


async def ask_over_http(client: httpx.AsyncClient, prompt: str) -> None:
    body = {
        "messages": [{"role": "user", "content": prompt}],
        "max_tokens": TOKENS,
        "temperature": 0,
        "stream": True,
        "cache_prompt": False,
    }
    async with client.stream("POST", "/chat/completions", json=body) as response:
        response.raise_for_status()
        async for _ in response.aiter_lines():
            pass


@contextmanager
def llama_server(model: Path) -> Iterator[str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    parameters = [str(model), str(port), str(CONTEXT * PARALLEL), str(PARALLEL), str(usable_cores())]
    process = subprocess.Popen(
        [sys.executable, "-c", SERVER, *parameters],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=spinning_briefly(),
    )
    url = f"http://127.0.0.1:{port}/v1"
    try:
        until = time.monotonic() + 90
        while time.monotonic() < until:
            assert process.poll() is None, "llama-server ended"
            with contextlib.suppress(httpx.TransportError):
                if httpx.get(f"{url}/models", trust_env=False).status_code == 200:
                    break
            time.sleep(0.1)
        yield url
    finally:
        process.kill()
        process.wait()


def spinning_briefly() -> dict[str, str]:
    """Return the environment that our worker also has: threads that wait for long would hinder each other on a busy machine."""
    return {**os.environ, "GOMP_SPINCOUNT": "1000"}


async def equality(engine: LlamaEngine, count: int) -> None:
    """Compare greedy replies alone with those among three others."""
    prompts = STORIES[:count]
    alone = [(await ask(engine, prompt, 0)).text for prompt in prompts]
    together: list[str] = []
    for start in range(0, len(prompts), PARALLEL):
        group = prompts[start : start + PARALLEL]
        together += [
            each.text for each in await asyncio.gather(*(ask(engine, *pair[::-1]) for pair in enumerate(group)))
        ]
    equal = sum(one == other for one, other in zip(alone, together, strict=True))
    print(f"{'greedy replies the same alone and in company':<46} {equal} of {len(prompts)}", flush=True)


async def cancelling(engine: LlamaEngine, rounds: int) -> None:
    """Measure the seconds from the cancelling of a request to its end and, if it was begun, to the worker's answer to another one."""
    long = "price " * (CONTEXT - 600)
    reading, waiting, written = [], [], []
    for number in range(rounds):
        reading.append(await cancelled(engine, request(long, f"long-{number}"), 0.5))
        ear = Ear()
        written.append(await cancelled(engine, request(STORIES[0], "story", max_tokens=500), None, ear))
        blocker = asyncio.ensure_future(engine.generate(request(long, "blocker", max_tokens=400), Ear()))
        await asyncio.sleep(0.2)
        waiting.append(await cancelled(engine, request(long, "waiter", max_tokens=400), 0.2, begun=False))
        blocker.cancel()
        await asyncio.gather(blocker, return_exceptions=True)
        for each in (f"long-{number}", "story", "blocker", "waiter"):
            engine.forget(each)
    for what, seconds in (
        ("while it waits for room", waiting),
        ("while it is read", reading),
        ("while it is answered", written),
    ):
        print(
            f"{f'cancelled {what}: over after':<56} {statistics.median(seconds) * 1000:6.0f} ms, at most {max(seconds) * 1000:.0f} ms",
            flush=True,
        )


async def cancelled(
    engine: LlamaEngine, asked: GenerateRequest, after: float | None, ear: Ear | None = None, *, begun: bool = True
) -> float:
    ear = ear or Ear()
    task = asyncio.ensure_future(engine.generate(asked, ear))
    if after is None:
        await ear.heard.wait()
    else:
        await asyncio.sleep(after)
    started = time.perf_counter()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    if begun:
        await engine.count_tokens((Message("user", "still there?"),))
    return time.perf_counter() - started


async def starts(model: Path, home: Path, rounds: int) -> None:
    """Measure the seconds to the first token of an answer, including the daemon's start; and for the next question."""
    set_up_home(model, home)
    seconds: dict[str, list[float]] = {"without the prefix": [], "with the prefix": [], "second question": []}
    for _ in range(rounds):
        for file in home.glob("cache/analystd/prefixes/*/*.prefix"):
            file.unlink()
        for what in ("without the prefix", "with the prefix"):
            started = time.perf_counter()
            async with await connect(f"{home}/workspace") as desk:
                seconds[what].append(await first_token(desk) - started)
                if what == "with the prefix":
                    started = time.perf_counter()
                    seconds["second question"].append(await first_token(desk) - started)
                await desk.shutdown(now=True)
            await asyncio.sleep(0.5)
    cold = statistics.median(seconds["without the prefix"])
    row(
        "cold start to first token",
        statistics.median(seconds["with the prefix"]),
        "s",
        "without the prefix on disk",
        cold,
    )
    row("second question to first token", statistics.median(seconds["second question"]), "s", "a cold start", cold)


def set_up_home(model: Path, home: Path) -> None:
    """Have the daemon keep its files in a folder of our own."""
    os.environ |= {
        "XDG_STATE_HOME": f"{home}/state",
        "XDG_CONFIG_HOME": f"{home}/config",
        "XDG_CACHE_HOME": f"{home}/cache",
        "AGENT_MODEL_PATH": str(model),
    }


async def first_token(desk: Client) -> float:
    """Return the time at which the first piece of an answer arrived."""
    heard: asyncio.Future[float] = asyncio.get_running_loop().create_future()

    def listen(event: Event) -> None:
        if event["kind"] in (EventKind.TEXT, EventKind.TOOL_CALL) and not heard.done():
            heard.set_result(time.perf_counter())

    stop = desk.on_event(listen)
    run = asyncio.ensure_future(desk.run_agent("Who are you?", max_steps=1))
    try:
        return await asyncio.wait_for(heard, 300)
    finally:
        stop()
        run.cancel()
        await asyncio.gather(run, return_exceptions=True)


def row(what: str, ours: float, unit: str, peer: str, theirs: float) -> None:
    print(f"{what:<46} {ours:8.2f} {unit}   {peer} {theirs:8.2f} {unit}   ratio {ours / theirs:.2f}", flush=True)


asyncio.run(main())
