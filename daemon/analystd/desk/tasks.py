"""Build the agent's task for a question: with example calls for a small model, with facts for one that can program."""

from __future__ import annotations

import logging
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from analystd.agent.definitions import definitions
from analystd.agent.function_hints import hints
from analystd.agent.loop import Observer
from analystd.agent.programs import LOOK, facts_and_question, question_with_facts, system_prompt
from analystd.agent.prompt import example_turns, first_call_tools, with_new_files
from analystd.agent.prompt import system_prompt as prompt_with_examples
from analystd.agent.review import Reviewer
from analystd.agent.task import Limits, Programs, Task
from analystd.agent.turns import Turn
from analystd.data.base import DataService
from analystd.desk.conversations import Earlier
from analystd.desk.project_toolbox import OwnFunctions
from analystd.desk.schema_hints import SchemaHints
from analystd.desk.table_facts import TableFacts, most_characters
from analystd.engine.base import Message, ToolSpec
from analystd.kernel.base import Session, SessionVariable
from analystd.wire.errors import AnalystdError
from analystd.wire.results import FileEntry, Step

logger = logging.getLogger(__name__)

_MOST_VARIABLES = 20
_VALUE_CHARACTERS = 60
_COLUMNS_MARK = "columns: "
"""The preview of a table begins with this."""
_COLLECTIONS = frozenset({"DataFrame", "Series", "ndarray", "dict", "list"})
_SINGLE_VALUES = frozenset({"int", "float", "str", "bool", "Timestamp", "int64", "float64", "bool_", "str_"})


@dataclass(frozen=True)
class Briefing:
    """Context that a desk has, beside the question, for a model that can program."""

    window: int | None
    """The size of the model's window in tokens, if known."""
    instructions: str | None = None
    """Text that replaces the agent's own system message."""
    own: OwnFunctions = field(default_factory=OwnFunctions)


def task_with_examples(
    conversation: str,
    prompt: str,
    limits: Limits,
    earlier: Earlier,
    listing: Sequence[str],
    specs: tuple[ToolSpec, ...],
    names: SchemaHints | None,
    instructions: str | None = None,
) -> Task:
    """Return the task of a small model, with example calls before the question."""
    told = earlier.files_to_tell(listing)
    is_first = earlier.first_files is None
    system = Message(
        "system", prompt_with_examples(specs, told if is_first else earlier.first_files or (), instructions)
    )
    return Task(
        conversation,
        (system, *example_turns(specs)),
        prompt if is_first else with_new_files(prompt, told),
        limits,
        earlier.turns,
        first_tools=first_call_tools(prompt, listing, specs),
        narrow=names,
    )


async def task_for_programs(
    conversation: str,
    prompt: str,
    limits: Limits,
    turns: tuple[Turn, ...],
    data: DataService,
    facts: TableFacts,
    session: Session,
    observer: Observer,
    briefing: Briefing,
) -> Task:
    """Return the task of a model that can program, after a look at the files and variables, which is a step of its own."""
    started = time.monotonic()
    entries = await _entries(data)
    looked = await facts.look(
        prompt,
        entries,
        [facts_and_question(message.content)[1] for turn in reversed(turns) for message in turn.messages],
        [facts_and_question(turn.question.content)[0] for turn in turns],
        most_characters(briefing.window),
        can_read="read" not in briefing.own.defined,
    )
    columns = {name for names in looked.columns.values() for name in names}
    variables = _variables_text(await session.variables(), columns)
    functions = hints(prompt, columns, briefing.own.offered, briefing.own.defined)
    parts = [looked.text, variables, functions, definitions(prompt, looked.contents)]
    text = "\n\n".join(part for part in parts if part)
    steps: tuple[Step, ...] = ()
    if text:
        step: Step = {
            "tool": LOOK,
            "arguments": {"paths": list(looked.paths)},
            "ok": True,
            "output": text,
            "seconds": round(time.monotonic() - started, 3),
        }
        observer.calling(LOOK, step["arguments"], "")
        observer.called(step)
        steps = (step,)
    question = question_with_facts(prompt, text)
    before = [message.content for turn in turns for message in turn.messages]
    reviewer = Reviewer((question, *before), prompt, needs_program=bool(looked.paths or variables))
    return Task(
        conversation,
        (Message("system", briefing.instructions or system_prompt()),),
        question,
        limits,
        turns,
        programs=Programs(reviewer, steps, looked.columns, looked.contents, looked.odd_files),
    )


async def _entries(data: DataService) -> Sequence[FileEntry]:
    """Return the files of the workspace, including those in subfolders."""
    try:
        listing = await data.list_files(".", recursive=True)
    except AnalystdError as exc:
        logger.warning("the workspace cannot be listed: %s", exc.message)
        return []
    files = [entry for entry in listing["entries"] if entry["type"] in ("file", "link")]
    # Python's cache beside a user's modules is not data.
    return [entry for entry in files if "__pycache__" not in PurePosixPath(entry["name"]).parts]


def _variables_text(variables: Sequence[SessionVariable], known_columns: Collection[str]) -> str:
    """Return a text about the session's variables: the values of scalars, the shape and the new columns of others."""
    kinds = [(each, each.type.rpartition(".")[2]) for each in variables]
    many = [_collection_text(each, known_columns) for each, kind in kinds if kind in _COLLECTIONS]
    single = [_value_text(each) for each, kind in kinds if kind in _SINGLE_VALUES]
    told = [*many, *single][:_MOST_VARIABLES]
    return f"Variables of earlier programs: {', '.join(told)}" if told else ""


def _collection_text(variable: SessionVariable, known_columns: Collection[str]) -> str:
    facts = [variable.type, *([variable.shape] if variable.shape else [])]
    mark, columns = variable.preview[: len(_COLUMNS_MARK)], variable.preview[len(_COLUMNS_MARK) :]
    if mark == _COLUMNS_MARK and not set(columns.split(", ")) <= set(known_columns):
        facts.append(variable.preview)
    return f"{variable.name} ({', '.join(facts)})"


def _value_text(variable: SessionVariable) -> str:
    # A numpy scalar is shown after its type.
    value = variable.preview if "." not in variable.type else variable.preview.rpartition(": ")[2]
    return f"{variable.name} = {value if len(value) <= _VALUE_CHARACTERS else f'{value[: _VALUE_CHARACTERS - 1]}…'}"
