"""Change the user's own settings file, keeping everything else in it unchanged."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Mapping
from io import StringIO
from pathlib import Path

from dotenv.parser import parse_stream

from analystd.util.small_files import read_small

_PLAIN = re.compile(r"[\w./:@%+,=~-]+")


def changed(text: str, changes: Mapping[str, str | None]) -> str:
    """Return a settings file's text with these variables set; where the value is None, their lines become comments.

    Other lines stay unchanged. Variables that are not in the text are added at the end.
    """
    lines: list[str] = []
    done: set[str] = set()
    for binding in parse_stream(StringIO(text)):
        original, name = binding.original.string, binding.key
        if name is None or name not in changes:
            lines.append(original)
            continue
        value = changes[name]
        # The comments and empty lines before a variable count as part of it.
        before, own = _split_comments(original)
        lines.append(before)
        if value is None:
            lines += [f"# {line}" for line in own.splitlines(keepends=True)]
        elif name not in done:
            lines.append(f"{name}={_quoted(value)}\n")
        done.add(name)
    result = "".join(lines)
    fresh = [f"{name}={_quoted(value)}\n" for name, value in changes.items() if value is not None and name not in done]
    separator = "\n" if fresh and result and not result.endswith("\n") else ""
    return result + separator + "".join(fresh)


def change_file(path: Path, changes: Mapping[str, str | None]) -> None:
    """Change a settings file, completely or not at all. It is then readable by its owner only, since it may hold keys.

    Raises:
        OSError: when it cannot be read or written.
    """
    # If the file is a link, as in a collection of dotfiles, its target is changed.
    target = path.resolve()
    target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    text = read_small(target).decode("utf-8", "surrogateescape") if target.exists() else ""
    with tempfile.NamedTemporaryFile(dir=target.parent, prefix=".settings-", delete=False) as file:
        try:
            file.write(changed(text, changes).encode("utf-8", "surrogateescape"))
            file.flush()
            os.fsync(file.fileno())
            Path(file.name).replace(target)
        except BaseException:
            Path(file.name).unlink(missing_ok=True)
            raise


def _split_comments(original: str) -> tuple[str, str]:
    """Return the text before a variable, and the lines of the variable."""
    own = original.lstrip()
    return original[: len(original) - len(own)], own if own.endswith("\n") else own + "\n"


def _quoted(value: str) -> str:
    """Return a value in a form that dotenv parses."""
    if _PLAIN.fullmatch(value):
        return value
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
