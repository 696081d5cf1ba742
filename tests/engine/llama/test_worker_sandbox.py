"""The files that the model's worker can read: the model's own, as they were when the worker started, and no others."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tests.jail.conftest import VARIANTS, offered_or_skip

from analystd.engine.base import GenerateRequest, Message
from analystd.engine.llama.engine import LlamaEngine
from analystd.engine.llama.worker_sandbox import WorkerSandbox, worker_environment
from analystd.jail.bound_file import BoundFile
from analystd.jail.sandbox import Sandbox
from analystd.models.memory_estimate import files_of

pytestmark = pytest.mark.slow

LOOK = """
import json, os, sys
answers = {}
for path in sys.argv[1:]:
    try:
        answers[path] = os.listdir(path) if os.path.isdir(path) else open(path).read()
    except OSError as exc:
        answers[path] = type(exc).__name__
print(json.dumps(answers))
"""
REFUSED = ("PermissionError", "FileNotFoundError")


@pytest.fixture(scope="module", params=VARIANTS)
def sandbox(request: pytest.FixtureRequest) -> Sandbox:
    return offered_or_skip(request.param)


def command(walls: WorkerSandbox, files: list[Path], *looked_at: Path) -> tuple[list[str], dict[str, str]]:
    """The command line of a program behind the worker's walls that tells what it can read of these paths."""
    return walls.around(
        [sys.executable, "-P", "-c", LOOK, *map(str, looked_at)], worker_environment({"PATH": "/usr/bin:/bin"}), files
    )


def seen(walls: WorkerSandbox, files: list[Path], *looked_at: Path) -> list[object]:
    argv, environment = command(walls, files, *looked_at)
    done = subprocess.run(argv, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return [json.loads(done.stdout)[str(path)] for path in looked_at]


def hub(folder: Path) -> Path:
    """A model as Hugging Face's cache keeps it: a link to a file whose folder holds others too."""
    blobs, snapshot = folder / "blobs", folder / "snapshots" / "1"
    blobs.mkdir(parents=True)
    snapshot.mkdir(parents=True)
    for name in ("model", "other"):
        (blobs / name).write_text(f"the {name}")
    (snapshot / "m.gguf").symlink_to("../../blobs/model")
    (snapshot / "notes.txt").write_text("private")
    return snapshot / "m.gguf"


def test_the_worker_can_read_its_model_and_no_other_file(sandbox: Sandbox, tmp_path: Path) -> None:
    model = hub(tmp_path / "hub")
    adapter = tmp_path / "adapters" / "a.gguf"
    adapter.parent.mkdir()
    adapter.write_text("the adapter")
    (adapter.parent / "b.gguf").write_text("another one")
    blobs = tmp_path / "hub" / "blobs"
    can, *others = seen(
        WorkerSandbox(sandbox, tmp_path / "runtime"),
        [model, adapter],
        model,
        model.with_name("notes.txt"),
        model.parent,
        blobs,
        blobs / "other",
        adapter.parent,
        adapter.with_name("b.gguf"),
    )
    assert can == "the model"
    # Where the world is made for the worker, the folders in it hold what was let in and no more.
    assert all(answer in (*REFUSED, ["m.gguf"], ["model"], ["a.gguf"]) for answer in others), others
    assert seen(WorkerSandbox(sandbox, tmp_path / "runtime"), [model, adapter], adapter) == ["the adapter"]


def test_the_worker_can_read_all_parts_of_a_model_and_no_other_file(sandbox: Sandbox, tmp_path: Path) -> None:
    names = [f"m-0000{number}-of-00003.gguf" for number in (1, 2, 3)]
    for name in [*names, "m-00001-of-00002.gguf", "m-00004-of-00003.gguf"]:
        (tmp_path / name).write_text(name)
    first = tmp_path / names[0]
    paths = [
        *(tmp_path / name for name in names),
        tmp_path / "m-00001-of-00002.gguf",
        tmp_path / "m-00004-of-00003.gguf",
    ]
    *parts, other, stray = seen(WorkerSandbox(sandbox, tmp_path / "runtime"), [first], *paths)
    assert parts == names
    assert {str(other), str(stray)} <= set(REFUSED)


def test_a_model_that_is_replaced_before_the_worker_starts_is_rejected(sandbox: Sandbox, tmp_path: Path) -> None:
    model, secret = tmp_path / "m.gguf", tmp_path / "secret"
    model.write_text("the model")
    secret.write_text("private")
    argv, environment = command(WorkerSandbox(sandbox, tmp_path / "runtime"), [model], model)
    model.unlink()
    model.symlink_to(secret)
    done = subprocess.run(argv, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode != 0
    assert f"{model} was replaced by another file" in done.stderr
    assert "private" not in done.stdout


def test_only_a_regular_file_can_be_a_model(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="is not a regular file"):
        BoundFile.at(tmp_path)


def test_the_parts_of_a_model_are_found_by_their_names(tmp_path: Path) -> None:
    def made(name: str) -> Path:
        (tmp_path / name).touch()
        return tmp_path / name

    first, third = made("m-00001-of-00003.gguf"), made("m-00003-of-00003.gguf")
    assert files_of(first) == [first, third]
    for name in ("m.gguf", "m-00001-of-00001.gguf", "m-00001-of-99999.gguf"):
        assert files_of(made(name)) == [tmp_path / name]


async def test_a_real_model_in_a_crowded_folder_works_in_the_sandbox(
    sandbox: Sandbox, tmp_path: Path, gguf: Path
) -> None:
    model = hub(tmp_path / "hub")
    (tmp_path / "hub" / "blobs" / "model").unlink()
    shutil.copyfile(gguf, tmp_path / "hub" / "blobs" / "model")
    engine = LlamaEngine(lambda: model, context_tokens=256, walls=WorkerSandbox(sandbox, tmp_path / "runtime"))
    try:
        request = GenerateRequest("c", (Message("user", "Hello"),), max_tokens=4)
        assert (await engine.generate(request, lambda _: False)).completion_tokens > 0
    finally:
        await engine.aclose()
