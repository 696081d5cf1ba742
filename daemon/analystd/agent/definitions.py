"""How the figures that a question asks for are computed: sentences in `prompts/definitions.txt`, found by the question's words.

They matter where libraries differ (sample or population, corrected or not), and where a small model takes what it knows by half.
"""

from __future__ import annotations

from analystd.agent.function_hints import holds_phrase, words_of
from analystd.agent.prompt import packaged_pairs

MOST_DEFINITIONS = 3

_HEADING = "How it is computed:"


def definitions(question: str) -> str:
    """Return what a question is told of the figures that it asks for; empty where it asks for none of them."""
    asked = words_of(question)
    told = [
        f"- {sentence}"
        for phrases, sentence in packaged_pairs("definitions.txt")
        if any(holds_phrase(asked, phrase.strip()) for phrase in phrases.split(","))
    ]
    return "\n".join([_HEADING, *told[:MOST_DEFINITIONS]]) if told else ""
