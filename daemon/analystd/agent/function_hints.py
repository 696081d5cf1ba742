"""Choose the few toolbox functions that a question mentions, with signature and one line each.

A small model chooses a function far better than it writes thirty lines, but each line of its prompt costs time and may mislead it. So
the choice is simple: `prompts/toolbox_words.txt` has the words for each function. Signatures and lines are read from the toolbox's own
source, since the daemon neither imports pandas nor runs anything to answer.
"""

from __future__ import annotations

import ast
import functools
import re
import unicodedata
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files

MOST_FUNCTIONS = 4

_WORD = re.compile(r"[^\W_]+")
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])")
_SPELT_OUT = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "ß": "ss"})
_LINE_CHARACTERS = 320
_HEADING = "Functions that are ready for use after `import toolbox` (plain CSV is read by pandas, any other table by toolbox.read(path)):"
_USED = re.compile(r"\btoolbox\.([A-Za-z_]\w*)")
_NO_ATTRIBUTE = re.compile(
    r"module 'toolbox' has no attribute '(?P<name>\w+)'|cannot import name '(?P<imported>\w+)' from 'toolbox'"
)


@dataclass(frozen=True)
class Function:
    """A function as the model sees it."""

    name: str
    signature: str
    """The call: `toolbox.vwap(frame, *, price, volume, by=None)`."""
    line: str
    """What the function returns or does."""

    @property
    def text(self) -> str:
        """One line for the prompt."""
        text = f"- {self.signature}: {self.line}"
        return text if len(text) <= _LINE_CHARACTERS else f"{text[: _LINE_CHARACTERS - 1]}…"


@dataclass(frozen=True)
class Words:
    """The words that a question must contain for a function to be offered, and the columns that the tables must have."""

    phrases: tuple[str, ...]
    columns: tuple[tuple[str, ...], ...] = ()


def hints(
    question: str, columns: Iterable[str], own: Sequence[Function] = (), hidden: Collection[str] = frozenset()
) -> str:
    """Return the lines about functions that fit a question; empty if none does.

    Args:
        question: The question.
        columns: The columns of the known tables; without any, no function is left out for lack of a column.
        own: Functions of the project, which fit if the question contains a word of their name; they come first.
        hidden: Functions of the toolbox that a session does not get, because the project defines another function with that name.
    """
    asked = words_of(question)
    chosen = [each for each in own if _own_fits(each, asked)]
    chosen += [functions()[name] for name in _fitting(asked, columns) if name not in hidden]
    lines = [each.text for each in chosen[:MOST_FUNCTIONS]]
    return "\n".join([_HEADING, *lines]) if lines else ""


def hint_for_failure(code: str, output: str) -> str | None:
    """Return a hint for a failed program that uses the toolbox: its functions with signatures; None for other programs."""
    if found := _NO_ATTRIBUTE.search(output):
        return (
            f"The toolbox has no {found['name'] or found['imported']}; import it from the library that has it. "
            f"The functions of the toolbox are {', '.join(sorted(functions()))}."
        )
    used = [functions()[name] for name in dict.fromkeys(_USED.findall(code)) if name in functions()]
    if not used:
        return None
    return "\n".join(
        ["The functions of the toolbox that the program uses:", *(each.text for each in used[:MOST_FUNCTIONS])]
    )


@functools.cache
def functions() -> Mapping[str, Function]:
    """Return the functions of the toolbox by name."""
    folder = files("analystd") / "toolbox"
    texts = [each.read_text(encoding="utf-8") for each in folder.iterdir() if each.name.endswith(".py")]
    return {each.name: each for text in texts for each in functions_in(text)}


def functions_in(source: str) -> list[Function]:
    """Return the public functions with a docstring in a Python source, which is not run; none if it cannot be parsed."""
    try:
        body = ast.parse(source).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return []
    fields = {each.name: _fields(each) for each in body if isinstance(each, ast.ClassDef)}
    found = [each for each in body if isinstance(each, ast.FunctionDef) and not each.name.startswith("_")]
    return [_function(each, fields) for each in found if ast.get_docstring(each)]


@functools.cache
def toolbox_words() -> Mapping[str, Words]:
    """Return the words for each function, from `toolbox_words.txt`."""
    text = (files("analystd.agent") / "prompts" / "toolbox_words.txt").read_text(encoding="utf-8")
    words: dict[str, Words] = {}
    name = ""
    for line in text.splitlines():
        key, _, rest = line.strip().partition(":")
        if not rest or key.startswith("#"):
            continue
        if key == "columns":
            groups = tuple(tuple(group.split()) for group in rest.split(";"))
            words[name] = Words(words[name].phrases, groups)
        else:
            name = key
            words[name] = Words(tuple(phrase.strip() for phrase in rest.split(",")))
    return words


def words_of(text: str) -> list[str]:
    """Return the words of a text, without case and accents; names in camel case are split."""
    plain = _CAMEL.sub(" ", unicodedata.normalize("NFC", text)).casefold().translate(_SPELT_OUT)
    bare = "".join(each for each in unicodedata.normalize("NFKD", plain) if not unicodedata.combining(each))
    return _WORD.findall(bare)


def _fitting(asked: Sequence[str], columns: Iterable[str]) -> list[str]:
    """Return the functions that fit, ordered by the number of matching phrases, then as in the file."""
    had = [words_of(name) for name in columns]
    scores = {
        name: sum(holds_phrase(asked, phrase) for phrase in words.phrases)
        for name, words in toolbox_words().items()
        if all(any(_fits(word, stem) for name in had for word in name for stem in group) for group in words.columns)
        or not had
    }
    return sorted((name for name, score in scores.items() if score), key=lambda name: -scores[name])


def holds_phrase(asked: Sequence[str], phrase: str) -> bool:
    """Return whether the words of a question contain a phrase, written like the words for functions."""
    return all(_follows(asked, part.split()) for part in phrase.split("+"))


def _follows(asked: Sequence[str], stems: Sequence[str]) -> bool:
    """Return whether consecutive words match the stems."""
    return any(
        all(_fits(word, stem) for word, stem in zip(asked[at : at + len(stems)], stems, strict=True))
        for at in range(len(asked) - len(stems) + 1)
    )


def _fits(word: str, stem: str) -> bool:
    bare = stem.strip("*$")
    if stem.endswith("$"):
        return word.endswith(bare) if stem.startswith("*") else word == bare
    return bare in word if stem.startswith("*") else word.startswith(bare)


def _own_fits(function: Function, asked: Sequence[str]) -> bool:
    return any(len(word) > 2 and any(_fits(each, word) for each in asked) for word in words_of(function.name))


def _function(node: ast.FunctionDef, fields: Mapping[str, Sequence[str]]) -> Function:
    line = (ast.get_docstring(node) or "").partition("\n\n")[0].replace("\n", " ")
    result = ast.unparse(node.returns) if node.returns else ""
    if names := fields.get(result):
        line = f"{line} It has {', '.join(f'.{name}' for name in names)}."
    return Function(node.name, f"toolbox.{node.name}({_arguments(node.args)})", line)


def _arguments(arguments: ast.arguments) -> str:
    bare = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg]
    for each in bare:
        if each is not None:
            each.annotation = None
    return ast.unparse(arguments)


def _fields(node: ast.ClassDef) -> list[str]:
    """Return the fields of a dataclass."""
    return [
        each.target.id
        for each in node.body
        if isinstance(each, ast.AnnAssign) and isinstance(each.target, ast.Name) and not each.target.id.startswith("_")
    ]
