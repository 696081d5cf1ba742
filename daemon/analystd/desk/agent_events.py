"""Report the progress of an agent as events of its run."""

from __future__ import annotations

import json
import logging
from typing import Any

from analystd.desk.runs import AnyRun
from analystd.wire.names import EventKind
from analystd.wire.results import Step

logger = logging.getLogger(__name__)


class AgentEvents:
    """The `Observer` of an agent that works for a run."""

    def __init__(self, run: AnyRun) -> None:
        self._run = run
        self._steps = 0

    def said(self, text: str) -> None:
        """Report text of the model, in batches."""
        self._run.say(text)

    def calling(self, tool: str, arguments: dict[str, Any], said: str) -> None:
        """Report a tool call before it runs."""
        self._steps += 1
        logger.info("step %d: %s %s", self._steps, tool, json.dumps(arguments, ensure_ascii=False)[:500])
        self._run.emit(EventKind.TOOL_CALL, step=self._steps, tool=tool, arguments=arguments, reply=said)
        self._run.step = self._steps

    def called(self, step: Step) -> None:
        """Report the result of a tool call."""
        outcome = "ok" if step["ok"] else "refused"
        logger.info("step %d: %s in %.3f s: %s", self._steps, outcome, step["seconds"], step["output"][:200])
        of_some = {key: step[key] for key in ("displays", "valid", "hint") if key in step}
        self._run.emit(
            EventKind.TOOL_RESULT,
            step=self._steps,
            tool=step["tool"],
            ok=step["ok"],
            text=step["output"],
            seconds=step["seconds"],
            **of_some,
        )
        self._run.step = None
