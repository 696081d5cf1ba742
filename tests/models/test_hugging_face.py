from __future__ import annotations

import asyncio
import hashlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from tests.engine.openai.chat_servers import free_port
from tests.models.flooding_servers import MOST_SENT, flooding
from tests.models.hub_servers import Hub, serving

from analystd.models.bounded_http import _redirected
from analystd.models.download import DownloadSource, part_of
from analystd.models.hugging_face import HubFile, Reference, _authorization, choose_files, parse_reference, pull
from analystd.models.known_files import sha256_of
from analystd.wire.errors import EngineUnavailableError, InvalidArgumentsError

pytestmark = pytest.mark.slow

CONTENT = bytes(range(256)) * 40_000
MODEL = Reference("owner/model")


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def hub() -> Iterator[Hub]:
    """A repository with one model."""
    with serving(Hub({"m-Q4_K_M.gguf": CONTENT, "README.md": b"hello"})) as hub:
        yield hub


async def fetched(hub: Hub, folder: Path, reference: Reference = MODEL, **environment: str) -> Path:
    return await pull(reference, folder, lambda done, total: None, {"HF_ENDPOINT": hub.url, **environment})


def files(*paths: str) -> list[HubFile]:
    return [HubFile(path, 1, None) for path in paths]


def ranges(hub: Hub) -> list[str | None]:
    return [asked for path, asked, _ in hub.asked if path.startswith("/storage/")]


async def test_a_model_is_fetched_into_a_folder_named_for_its_repository(hub: Hub, tmp_path: Path) -> None:
    progress: list[tuple[int, int]] = []
    path = await pull(MODEL, tmp_path, lambda *step: progress.append(step), {"HF_ENDPOINT": hub.url + "/"})
    assert path == tmp_path / "owner" / "model" / "m-Q4_K_M.gguf"
    assert path.read_bytes() == CONTENT
    assert list(path.parent.iterdir()) == [path]
    assert progress[-1] == (len(CONTENT), len(CONTENT))
    assert progress == sorted(progress)


async def test_an_existing_file_is_not_fetched_again(hub: Hub, tmp_path: Path) -> None:
    await fetched(hub, tmp_path)
    await fetched(hub, tmp_path)
    assert ranges(hub) == [None]


async def test_an_interrupted_transfer_continues_where_it_stopped(hub: Hub, tmp_path: Path) -> None:
    hub.break_after += [3_000_000, 2_000_000]
    assert (await fetched(hub, tmp_path)).read_bytes() == CONTENT
    assert ranges(hub) == [None, "bytes=3000000-", "bytes=5000000-"]


async def test_the_bytes_of_an_interrupted_pull_are_used_by_the_next_one(hub: Hub, tmp_path: Path) -> None:
    hub.break_after += [4_000_000, 0, 0, 0, 0]
    with pytest.raises(EngineUnavailableError, match=r"could not be fetched from http://127") as refusal:
        await fetched(hub, tmp_path)
    assert "run the same command again to continue" in str(refusal.value.hint)
    hub.break_after.clear()
    assert (await fetched(hub, tmp_path)).read_bytes() == CONTENT
    assert ranges(hub)[-1] == "bytes=4000000-"


async def test_a_server_without_ranges_sends_the_whole_file(hub: Hub, tmp_path: Path) -> None:
    hub.break_after.append(3_000_000)
    hub.takes_ranges = False
    assert (await fetched(hub, tmp_path)).read_bytes() == CONTENT


async def test_a_file_with_another_hash_is_neither_installed_nor_kept(hub: Hub, tmp_path: Path) -> None:
    hub.hashes["m-Q4_K_M.gguf"] = "0" * 64
    with pytest.raises(EngineUnavailableError, match="is not the expected file"):
        await fetched(hub, tmp_path)
    assert list((tmp_path / "owner" / "model").iterdir()) == []


async def test_a_damaged_part_is_detected_and_removed(hub: Hub, tmp_path: Path) -> None:
    source = DownloadSource("", len(CONTENT), hashlib.sha256(CONTENT).hexdigest())
    part = part_of(tmp_path / "owner" / "model" / "m-Q4_K_M.gguf", source)
    part.parent.mkdir(parents=True)
    part.write_bytes(b"something else")
    with pytest.raises(EngineUnavailableError, match="is not the expected file"):
        await fetched(hub, tmp_path)
    assert (await fetched(hub, tmp_path)).read_bytes() == CONTENT


async def test_the_bytes_of_another_revision_are_not_continued(hub: Hub, tmp_path: Path) -> None:
    hub.break_after += [4_000_000, 0, 0, 0, 0]
    with pytest.raises(EngineUnavailableError):
        await fetched(hub, tmp_path)
    hub.break_after.clear()
    hub.files["m-Q4_K_M.gguf"] = CONTENT[::-1]
    path = await fetched(hub, tmp_path)
    assert path.read_bytes() == CONTENT[::-1]
    assert ranges(hub)[-1] is None
    assert list(path.parent.iterdir()) == [path]


async def test_a_file_of_the_right_size_with_another_content_is_fetched_again(hub: Hub, tmp_path: Path) -> None:
    path = await fetched(hub, tmp_path)
    path.write_bytes(CONTENT[:-1] + b"x")
    assert (await fetched(hub, tmp_path)).read_bytes() == CONTENT
    path.write_bytes(CONTENT[::-1])
    os.utime(path, ns=(1, 1))
    assert (await fetched(hub, tmp_path)).read_bytes() == CONTENT
    assert ranges(hub) == [None, None, None]


async def test_a_verified_file_is_not_read_again(hub: Hub, tmp_path: Path) -> None:
    path = await fetched(hub, tmp_path)
    assert sha256_of(path) == hashlib.sha256(CONTENT).hexdigest()
    store = tmp_path / "cache" / "analystd" / "known_files.json"
    # Where the hash comes from shows when memory tells another one.
    store.write_text(store.read_text().replace(hashlib.sha256(CONTENT).hexdigest(), "remembered"))
    assert sha256_of(path) == "remembered"
    os.utime(path, ns=(1, 1))
    assert sha256_of(path) == hashlib.sha256(CONTENT).hexdigest()


@pytest.mark.parametrize("content", ["", "[]", "{", '{"x": 1}', "[" * 100_000, "x" * 2_000_000])
def test_a_damaged_store_of_hashes_is_ignored(tmp_path: Path, content: str) -> None:
    store = tmp_path / "cache" / "analystd" / "known_files.json"
    store.parent.mkdir(parents=True)
    store.write_text(content)
    (tmp_path / "file").write_bytes(b"x")
    assert [sha256_of(tmp_path / "file") for _ in range(2)] == [hashlib.sha256(b"x").hexdigest()] * 2


async def test_the_second_of_two_pulls_reports_that_the_first_is_running(hub: Hub, tmp_path: Path) -> None:
    one, other = await asyncio.gather(fetched(hub, tmp_path), fetched(hub, tmp_path), return_exceptions=True)
    refusal, path = (one, other) if isinstance(one, EngineUnavailableError) else (other, one)
    assert isinstance(path, Path)
    assert path.read_bytes() == CONTENT
    assert isinstance(refusal, EngineUnavailableError)
    assert "is being fetched by another `analystd model pull`" in refusal.message


FILL_THE_DISK = """
import asyncio, sys
from pathlib import Path
from analystd.models.hugging_face import parse_reference, pull
from analystd.wire.errors import EngineUnavailableError
filler = Path("filler")

def fill(done, total):
    if done and not filler.exists():
        with filler.open("wb", buffering=0) as file:
            try:
                while file.write(bytes(1 << 16)):
                    pass
            except OSError:
                pass

def attempt(progress):
    return asyncio.run(pull(parse_reference("owner/model"), Path("models"), progress))

try:
    attempt(fill)
except EngineUnavailableError as exc:
    print(exc.message, exc.hint, sep="\\n")
filler.unlink()
print(attempt(lambda done, total: None).stat().st_size)
"""


def test_a_full_disk_is_reported_and_the_next_pull_continues(hub: Hub, tmp_path: Path) -> None:
    script = tmp_path / "fill.py"
    script.write_text(FILL_THE_DISK)
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = f"mount -t tmpfs -o size=90m tmpfs {disk} && cd {disk} && exec {sys.executable} {script}"
    if subprocess.run(["unshare", "-rm", "mount", "-t", "tmpfs", "tmpfs", disk], capture_output=True).returncode:
        pytest.skip("a small disk of its own cannot be had here")
    done = subprocess.run(
        ["unshare", "-rm", "sh", "-c", mounted],
        env={**os.environ, "HF_ENDPOINT": hub.url},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    message, hint, size = done.stdout.splitlines()
    assert message.endswith("could not be stored in models/owner/model: No space left on device")
    assert hint == "The downloaded part is kept; run the same command again to continue."
    assert int(size) == len(CONTENT)
    first, second = ranges(hub)
    assert first is None
    assert second is not None


@pytest.mark.parametrize("kind", ["a list", "a gzip bomb", "a nested list", "redirects with bodies"])
async def test_an_endless_answer_of_the_hub_is_aborted(tmp_path: Path, kind: str) -> None:
    with flooding() as flood:
        flood.listing = kind
        with pytest.raises(EngineUnavailableError, match=flood.url):
            await pull(MODEL, tmp_path, lambda done, total: None, {"HF_ENDPOINT": flood.url})
        assert flood.sent < MOST_SENT // 10


@pytest.mark.parametrize(
    ("asked", "location", "keeps"),
    [
        ("https://huggingface.co/a", "/b", True),
        ("https://huggingface.co/a", "https://cdn.example/b", False),
        ("https://huggingface.co/a", "https://huggingface.co:444/b", False),
        ("http://127.0.0.1:1/a", "http://127.0.0.1:2/a", False),
        ("https://huggingface.co/a", "http://huggingface.co/b", None),
        ("https://huggingface.co/a", "file:///etc/passwd", None),
    ],
)
async def test_a_redirect_takes_no_key_elsewhere_and_never_leaves_tls(
    asked: str, location: str, keeps: bool | None
) -> None:
    async with httpx.AsyncClient() as client:
        request = client.build_request("GET", asked, headers={"Authorization": "Bearer key", "Range": "bytes=1-"})
        if keeps is None:
            with pytest.raises(httpx.UnsupportedProtocol):
                _redirected(client, request, location)
            return
        redirected = _redirected(client, request, location)
    assert ("authorization" in redirected.headers) is keeps
    assert redirected.headers["range"] == "bytes=1-"
    assert redirected.headers["host"] == redirected.url.netloc.decode()


async def test_a_file_longer_than_announced_is_not_installed(hub: Hub, tmp_path: Path) -> None:
    hub.sizes["m-Q4_K_M.gguf"] = 1_000_000
    with pytest.raises(EngineUnavailableError, match="is not the expected file"):
        await fetched(hub, tmp_path)


async def test_a_model_that_does_not_fit_on_the_disk_is_not_fetched(hub: Hub, tmp_path: Path) -> None:
    hub.sizes["m-Q4_K_M.gguf"] = 1 << 60
    with pytest.raises(
        EngineUnavailableError, match=r"The model needs 1073741824\.0 GiB more .*, which has .* GiB free"
    ):
        await fetched(hub, tmp_path)
    assert ranges(hub) == []


@pytest.mark.parametrize(
    ("status", "message", "hint"),
    [
        (401, "refuses access to owner/model (401)", "HF_TOKEN"),
        (403, "refuses access to owner/model (403)", "HF_TOKEN"),
        (404, "has no owner/model", "spelling"),
        (429, "is too busy (429)", "later"),
        (500, "failed with status 500", "later"),
    ],
)
async def test_an_error_status_is_reported_with_a_message(
    hub: Hub, tmp_path: Path, status: int, message: str, hint: str
) -> None:
    hub.status = status
    with pytest.raises(EngineUnavailableError) as refusal:
        await fetched(hub, tmp_path)
    assert message in refusal.value.message
    assert hint in str(refusal.value.hint)


@pytest.mark.parametrize(
    "answer", [b"<html>", b"{}", b'[{"type": "file"}]', b'[{"type": "file", "path": "a", "size": "b"}]']
)
async def test_a_server_other_than_the_hub_is_reported(hub: Hub, tmp_path: Path, answer: bytes) -> None:
    hub.answers = answer
    with pytest.raises(EngineUnavailableError, match=r"does not answer as Hugging Face does|has no GGUF file"):
        await fetched(hub, tmp_path)


async def test_without_a_network_the_hint_lists_alternatives(tmp_path: Path) -> None:
    with pytest.raises(EngineUnavailableError, match="could not be fetched from http://127") as refusal:
        await fetched(Hub(url=f"http://127.0.0.1:{free_port()}"), tmp_path)
    assert "Check the network connection." in str(refusal.value.hint)


async def test_a_folder_that_cannot_be_written_is_reported(hub: Hub, tmp_path: Path) -> None:
    (tmp_path / "owner").write_text("in the way")
    with pytest.raises(EngineUnavailableError, match=r"could not be stored in .*owner/model"):
        await fetched(hub, tmp_path)


async def test_all_parts_of_a_model_are_fetched(tmp_path: Path) -> None:
    parts = {f"big/m-0000{number}-of-00003.gguf": bytes([number]) * 1000 for number in (1, 2, 3)}
    with serving(Hub(dict(parts))) as hub:
        progress: list[tuple[int, int]] = []
        path = await pull(MODEL, tmp_path, lambda *step: progress.append(step), {"HF_ENDPOINT": hub.url})
    assert path.name == "m-00001-of-00003.gguf"
    assert {each.name: each.read_bytes() for each in path.parent.iterdir()} == {
        name.removeprefix("big/"): content for name, content in parts.items()
    }
    assert progress[-1] == (3000, 3000)


async def test_a_file_cannot_leave_its_folder_by_its_name(tmp_path: Path) -> None:
    with serving(Hub({"../../../evil.gguf": b"x"})) as hub, pytest.raises(EngineUnavailableError):
        await fetched(hub, tmp_path / "models")
    assert not list(tmp_path.glob("*.gguf"))


async def test_a_mirror_never_sees_the_token(hub: Hub, tmp_path: Path) -> None:
    await fetched(hub, tmp_path, HF_TOKEN="secret")
    assert {authorization for _, _, authorization in hub.asked} == {None}


def test_the_token_goes_to_hugging_face_only() -> None:
    told = [
        _authorization(endpoint, "secret")
        for endpoint in (
            "https://huggingface.co",
            "http://huggingface.co",
            "https://nothuggingface.co",
            "https://hf.example",
        )
    ]
    assert told == [{"Authorization": "Bearer secret"}, {}, {}, {}]


def test_the_default_quantisation_is_chosen() -> None:
    there = files("m-Q8_0.gguf", "m-Q4_K_M.gguf", "mmproj-f16.gguf", "README.md")
    assert choose_files(there, MODEL) == files("m-Q4_K_M.gguf")
    assert choose_files(there, Reference("owner/model", "q8_0")) == files("m-Q8_0.gguf")
    assert choose_files(files("m-Q8_0.gguf"), MODEL) == files("m-Q8_0.gguf")


@pytest.mark.parametrize(
    ("paths", "wanted", "message"),
    [
        (["a-Q8_0.gguf", "a-F16.gguf"], None, "owner/model has 2 models"),
        (["a-Q8_0.gguf", "b-Q8_0.gguf", "c.gguf"], "Q8_0", "owner/model has 2 models, 2 of them with 'Q8_0'"),
        (["a-Q8_0.gguf", "c.gguf"], "Q2_K", "owner/model has 2 models, 0 of them with 'Q2_K'"),
    ],
)
def test_an_ambiguous_choice_names_the_candidates(paths: list[str], wanted: str | None, message: str) -> None:
    with pytest.raises(InvalidArgumentsError) as refusal:
        choose_files(files(*paths), Reference("owner/model", wanted))
    assert refusal.value.message == message
    assert paths[0] in str(refusal.value.hint)


def test_a_repository_without_a_gguf_is_reported() -> None:
    with pytest.raises(EngineUnavailableError, match="owner/model has no GGUF file"):
        choose_files(files("model.safetensors"), MODEL)


def test_references_are_read_as_people_write_them() -> None:
    assert parse_reference("owner/model") == MODEL
    assert parse_reference("https://huggingface.co/owner/model") == MODEL
    assert parse_reference("hf.co/owner/model:Q4_K_M") == Reference("owner/model", "Q4_K_M")
    assert parse_reference("owner/model:sub/m-Q4.gguf") == Reference("owner/model", "sub/m-Q4.gguf")


@pytest.mark.parametrize(
    "text", ["model", "a/b/c", "../etc", "a/..", "owner/model:", "https://elsewhere.org/a/b", "a b/c"]
)
def test_an_invalid_reference_is_rejected(text: str) -> None:
    with pytest.raises(InvalidArgumentsError, match="is not a repository of Hugging Face"):
        parse_reference(text)
