import os
from pathlib import Path

import pytest

from analystd.engine.llama import prefix_cache
from analystd.engine.llama.prefix_cache import MOST_MODELS, PrefixCache, fingerprint, prefix_folder

pytestmark = pytest.mark.slow

TOKENS = (1, 2, 3)
STATE = bytes(range(256)) * 10


def only_file(folder: Path) -> Path:
    (file,) = folder.iterdir()
    return file


def test_a_state_is_found_by_another_process(tmp_path: Path) -> None:
    PrefixCache(tmp_path, "model").save(TOKENS, STATE)
    assert PrefixCache(tmp_path, "model").load(TOKENS) == STATE


def test_another_model_or_other_tokens_have_no_state(tmp_path: Path) -> None:
    PrefixCache(tmp_path, "model").save(TOKENS, STATE)
    assert PrefixCache(tmp_path, "other").load(TOKENS) is None
    assert PrefixCache(tmp_path, "model").load((1, 2)) is None


def test_only_the_user_may_read_it(tmp_path: Path) -> None:
    PrefixCache(tmp_path, "model").save(TOKENS, STATE)
    assert only_file(tmp_path).stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("damage", [b"", b"short", "half", "flipped", "longer"])
def test_a_damaged_file_is_ignored_and_removed(tmp_path: Path, damage: bytes | str) -> None:
    prefixes = PrefixCache(tmp_path, "model")
    prefixes.save(TOKENS, STATE)
    file = only_file(tmp_path)
    whole = file.read_bytes()
    variants = {
        "half": whole[: len(whole) // 2],
        "flipped": whole[:-1] + bytes([whole[-1] ^ 1]),
        "longer": whole + b"x",
    }
    file.write_bytes(damage if isinstance(damage, bytes) else variants[damage])
    assert prefixes.load(TOKENS) is None
    assert not file.exists()


def test_a_file_with_the_name_of_another_is_not_used(tmp_path: Path) -> None:
    prefixes = PrefixCache(tmp_path, "model")
    prefixes.save(TOKENS, STATE)
    first = only_file(tmp_path)
    content = first.read_bytes()
    first.unlink()
    prefixes.save((4, 5), STATE)
    only_file(tmp_path).write_bytes(content)
    assert prefixes.load((4, 5)) is None


def test_the_files_are_bounded_and_those_used_last_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prefix_cache, "MOST_FILES", 2)
    prefixes = PrefixCache(tmp_path, "model")
    for number in range(2):
        prefixes.save((number,), STATE)
    for age, file in enumerate(tmp_path.iterdir()):
        os.utime(file, (age, age))
    assert prefixes.load((0,)) == STATE
    prefixes.save((2,), STATE)
    assert [prefixes.load((number,)) is not None for number in range(3)] == [True, False, True]


def test_their_bytes_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prefix_cache, "MOST_BYTES", 2 * len(STATE))
    prefixes = PrefixCache(tmp_path, "model")
    for number in range(3):
        prefixes.save((number,), STATE)
    assert sum(file.stat().st_size for file in tmp_path.iterdir()) <= 2 * len(STATE)
    prefixes.save((9,), STATE * 3)
    assert prefixes.load((9,)) is None


def test_a_missing_folder_is_not_an_error(tmp_path: Path) -> None:
    prefixes = PrefixCache(tmp_path / "gone", "model")
    prefixes.save(TOKENS, STATE)
    assert prefixes.load(TOKENS) is None


def test_what_was_stored_is_known_until_it_is_discarded(tmp_path: Path) -> None:
    prefixes = PrefixCache(tmp_path, "model")
    assert not prefixes.knows(TOKENS)
    prefixes.save(TOKENS, STATE)
    assert prefixes.knows(TOKENS)
    prefixes.discard(TOKENS)
    assert not prefixes.knows(TOKENS)
    assert list(tmp_path.iterdir()) == []


def test_a_fingerprint_distinguishes_files_by_time_and_content(tmp_path: Path) -> None:
    file = tmp_path / "model.gguf"
    file.write_bytes(b"a" * 3_000_000)
    os.utime(file, (1, 1))
    first = fingerprint(file)
    assert fingerprint(file) == first
    os.utime(file, (2, 2))
    second = fingerprint(file)
    file.write_bytes(b"a" * 2_999_999 + b"b")
    os.utime(file, (2, 2))
    assert len({first, second, fingerprint(file)}) == 3


def test_each_model_has_a_private_folder_and_the_last_ones_stay(tmp_path: Path) -> None:
    folders = []
    for number in range(MOST_MODELS + 1):
        model = tmp_path / f"{number}.gguf"
        model.write_bytes(b"GGUF")
        folder = prefix_folder(tmp_path / "prefixes", model)
        assert folder is not None
        os.utime(folder, (number, number))
        folders.append(folder)
    assert prefix_folder(tmp_path / "prefixes", tmp_path / "4.gguf") == folders[4]
    assert [folder.exists() for folder in folders] == [False, *[True] * MOST_MODELS]
    assert folders[4].stat().st_mode & 0o777 == 0o700


def test_a_folder_that_cannot_be_created_is_none(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert prefix_folder(tmp_path / "file", tmp_path / "file") is None
