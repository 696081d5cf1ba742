from __future__ import annotations

import os
import time
import tracemalloc
from pathlib import Path

import pytest

from analystd.config.setting_parsers import Adapter
from analystd.config.settings import Settings, load_settings, shown_value


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    return folder


def test_without_any_source_the_defaults_are_in_force(project: Path) -> None:
    loaded = load_settings({}, project, project / "none")
    assert loaded.settings == Settings()
    assert loaded.problems == ()


def test_the_environment_wins_over_the_users_file(project: Path) -> None:
    user_file = project / "settings.env"
    user_file.write_text("AGENT_GPU_LAYERS=3\nAGENT_MODEL_PATH=/m/a.gguf\n")
    loaded = load_settings({"AGENT_GPU_LAYERS": "7"}, None, user_file)
    assert (loaded.settings.gpu_layers, loaded.settings.model_path) == (7, "/m/a.gguf")
    assert loaded.sources == {"AGENT_GPU_LAYERS": "environment", "AGENT_MODEL_PATH": str(user_file)}


def test_a_projects_file_may_switch_tools_off_and_lower_limits(project: Path) -> None:
    (project / ".env").write_text("AGENT_ENABLE_PYEXE=false\nAGENT_WORKSPACE_MAX_GB=1\nAGENT_MIN_FREE_RAM_PERCENT=20\n")
    settings = load_settings({}, project, project / "none").settings
    assert (settings.enable_pyexe, settings.workspace_max_gb, settings.min_free_ram_percent) == (False, 1.0, 20.0)


@pytest.mark.parametrize(
    "line",
    [
        "AGENT_MODEL_PATH=/tmp/evil.gguf",
        "AGENT_LORA_PATH=/tmp/evil.gguf",
        "AGENT_MODEL_DIRS=/tmp",
        "AGENT_THREADS=1000",
        "AGENT_PYTHON=/tmp/evil",
        "AGENT_SANDBOX=off",
        "AGENT_READ_ONLY_PATHS=/",
        "AGENT_WORKSPACE_MAX_GB=50",
        "AGENT_PROTECTED_DIRS=nothing",
        "AGENT_PROMPT_FILE=prompt.txt",
        "AGENT_PROMPT_FILE=/dev/zero",
    ],
)
def test_a_projects_file_may_not_loosen_anything(project: Path, line: str) -> None:
    (project / ".env").write_text(line + "\n")
    loaded = load_settings({}, project, project / "none")
    assert loaded.settings == Settings()
    assert len(loaded.problems) == 1
    assert line.partition("=")[0] in loaded.problems[0]


def test_a_projects_file_cannot_switch_on_what_the_user_switched_off(project: Path) -> None:
    user_file = project / "settings.env"
    user_file.write_text("AGENT_ENABLE_PYEXE=false\n")
    (project / ".env").write_text("AGENT_ENABLE_PYEXE=true\n")
    assert load_settings({}, project, user_file).settings.enable_pyexe is False


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("AGENT_ENABLE_FILES", "perhaps", "neither true nor false"),
        ("AGENT_GPU_LAYERS", "many", "not a whole number"),
        ("AGENT_WORKSPACE_MAX_GB", "nan", "not a number of 0 or more"),
        ("AGENT_WORKSPACE_MAX_GB", "-1", "not a number of 0 or more"),
        ("AGENT_SANDBOX", "maybe", "neither auto nor off"),
        ("AGENT_NO_SUCH_THING", "1", "not a setting"),
    ],
)
def test_an_invalid_value_is_reported_once_and_the_default_is_used(
    project: Path, name: str, value: str, words: str
) -> None:
    loaded = load_settings({name: value}, project, project / "none")
    assert loaded.settings == Settings()
    assert len(loaded.problems) == 1
    assert words in loaded.problems[0]


def test_lists_are_separated_by_commas_or_as_the_path_variable_is() -> None:
    nowhere = Path("/nonexistent")
    assert load_settings({"AGENT_PROTECTED_DIRS": "boot, core"}, None, nowhere).settings.protected_dirs == (
        "boot",
        "core",
    )
    assert load_settings({"AGENT_READ_ONLY_PATHS": "/a:/b c"}, None, nowhere).settings.read_only_paths == ("/a", "/b c")


@pytest.mark.parametrize("line", ["AGENT_SEED=-1", "AGENT_SEED=x", "AGENT_TEMPERATURE=-0.5", "AGENT_TEMPERATURE=warm"])
def test_an_invalid_number_is_reported_and_the_default_is_used(project: Path, line: str) -> None:
    name, _, value = line.partition("=")
    loaded = load_settings({name: value}, project, project / "none")
    assert loaded.settings == Settings()
    assert loaded.problems[0].startswith(f"{name}={value!r} (from environment) is not a ")


def test_adapters_are_paths_with_scales_that_may_be_left_out() -> None:
    text = "/m/a.gguf:0.5, /m/b.gguf,/m/c:d.gguf,"
    loaded = load_settings({"AGENT_LORA_PATH": text}, None, Path("/nonexistent"))
    assert loaded.problems == ()
    assert loaded.settings.lora_path == (Adapter("/m/a.gguf", 0.5), Adapter("/m/b.gguf"), Adapter("/m/c:d.gguf"))


def test_a_file_that_is_too_large_is_reported_and_not_read(project: Path) -> None:
    (project / ".env").write_text("AGENT_ENABLE_PYEXE=false\n")
    os.truncate(project / ".env", 1_500_000_000)
    tracemalloc.start()
    loaded = load_settings({}, project, project / "none")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (loaded.settings, loaded.problems) == (
        Settings(),
        (f"{project / '.env'} cannot be read: it holds more than 64 KiB",),
    )
    assert peak < 8 << 20


def test_a_pipe_is_reported_and_not_waited_for(project: Path) -> None:
    os.mkfifo(project / ".env")
    assert load_settings({}, project, project / "none").problems == (
        f"{project / '.env'} cannot be read: it is not a regular file",
    )


def test_a_virtual_environment_named_like_the_projects_file_is_ignored(project: Path) -> None:
    (project / ".env/bin").mkdir(parents=True)
    assert load_settings({}, project, project / "none").problems == ()


def test_a_hostile_small_file_is_parsed_quickly(project: Path) -> None:
    for line in ("'" * 60_000, "A='" + "\\'" * 30_000, "A=\n" * 15_000, "AGENT_\x1b[31m=1\n" * 3, " " * 60_000):
        (project / ".env").write_text(line)
        begun = time.monotonic()
        load_settings({}, project, project / "none")
        assert time.monotonic() - begun < 5


def test_problems_are_inert_and_limited_in_number(project: Path) -> None:
    (project / ".env").write_text("".join(f"AGENT_{number}\x1b[31m=1\n" for number in range(2000)))
    problems = load_settings({}, project, project / "none").problems
    assert len(problems) == 21
    assert all(problem.isprintable() for problem in problems)
    assert problems[-1].startswith("1980 more problems in ")


def test_shown_values_hold_no_secrets(project: Path) -> None:
    url = "https://me:secret@host:8080/v1?key=secret#secret"
    settings = load_settings({"AGENT_MODEL_URL": url, "AGENT_MODEL_API_KEY": "secret"}, None, project / "none").settings
    assert shown_value(settings, "model_url") == "'https://(a name)@host:8080/v1'"
    assert shown_value(settings, "model_api_key") == "(a key)"
    assert shown_value(settings, "max_steps") == "12"


def test_a_project_may_seal_more_names_by_itself_and_never_fewer(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("AGENT_SEALED_NAMES=Justfile,*.service\n")
    nowhere = tmp_path / "none"
    assert load_settings({}, tmp_path, nowhere).settings.sealed_names == ("Justfile", "*.service")
    user = tmp_path / "user.env"
    user.write_text("AGENT_SEALED_NAMES=mine\n")
    loaded = load_settings({}, tmp_path, user)
    assert loaded.settings.sealed_names == ("mine",)
    assert "is not in force" in loaded.problems[0]


def prompt_in_force(path: Path | str) -> tuple[str | None, str]:
    """The prompt that a setting leads to, and what is said of it."""
    loaded = load_settings({"AGENT_PROMPT_FILE": str(path)}, None, Path("/nonexistent"))
    prompt = loaded.settings.prompt_file
    return None if prompt is None else prompt.text, " ".join(loaded.problems)


def test_a_prompt_is_read_from_its_file(project: Path) -> None:
    (project / "prompt.txt").write_text("\ufeffBe brief.\nÄ\n\n")
    assert prompt_in_force(project / "prompt.txt") == ("Be brief.\nÄ", "")
    assert prompt_in_force("") == (None, "")
    loaded = load_settings({"AGENT_PROMPT_FILE": str(project / "prompt.txt")}, None, Path("/nonexistent"))
    assert shown_value(loaded.settings, "prompt_file") == repr(str(project / "prompt.txt"))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "cannot be read: No such file"),
        (b"x" * (32 * 1024 + 1), "cannot be read: it holds more than 32 KiB"),
        (b"\xff\xfe", "cannot be read: it is not UTF-8 text"),
        (b"a\0b", "cannot be read: it is not text"),
        (b" \n", "is empty"),
    ],
)
def test_a_prompt_that_cannot_be_read_is_reported(project: Path, content: bytes | None, words: str) -> None:
    if content is not None:
        (project / "prompt.txt").write_bytes(content)
    prompt, said = prompt_in_force(project / "prompt.txt")
    assert prompt is None
    assert words in said


def test_a_prompt_cannot_be_a_pipe_a_device_or_a_relative_path(project: Path) -> None:
    os.mkfifo(project / "pipe")
    assert "not a regular file" in prompt_in_force(project / "pipe")[1]
    assert "not a regular file" in prompt_in_force("/dev/zero")[1]
    assert "is not an absolute path" in prompt_in_force("prompt.txt")[1]
