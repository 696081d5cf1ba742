"""What the agent is given to do for a question: in examples of calls for a small model, in facts and programs for one that can program."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
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
_TOLD_VARIABLES = ("DataFrame", "Series", "ndarray", "dict", "list", "int", "float", "str", "bool")


@dataclass(frozen=True)
class Briefing:
    """What a desk has for a model that can program, beside the question."""

    window: int | None
    """The model's window in tokens, where it is known."""
    instructions: str | None = None
    """What stands for the agent's own system message."""
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
    """Return the task of a small model: examples of calls come before the question."""
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
    variables = _variables_text(await session.variables())
    columns = {name for names in looked.columns.values() for name in names}
    functions = hints(prompt, columns, briefing.own.offered, briefing.own.defined)
    parts = [looked.text, variables, functions, definitions(prompt)]
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
    """The files of the workspace, folders within included."""
    try:
        listing = await data.list_files(".", recursive=True)
    except AnalystdError as exc:
        logger.warning("the workspace cannot be listed: %s", exc.message)
        return []
    files = [entry for entry in listing["entries"] if entry["type"] in ("file", "link")]
    # What Python keeps beside a user's modules is no data.
    return [entry for entry in files if "__pycache__" not in PurePosixPath(entry["name"]).parts]


def _variables_text(variables: Sequence[SessionVariable]) -> str:
    told = [each for each in variables if each.type.rpartition(".")[2] in _TOLD_VARIABLES][:_MOST_VARIABLES]
    if not told:
        return ""
    words = [f"{each.name} ({each.type}{f', {each.shape}' if each.shape else ''})" for each in told]
    return f"Variables of earlier programs: {', '.join(words)}"
