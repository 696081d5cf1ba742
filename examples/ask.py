"""Ask a question, print the steps as they come, then ask on in the same conversation.

python examples/ask.py "How many rows does prices.csv have?" "And which columns?"
"""

import sys

import analystd

QUESTIONS = sys.argv[1:] or ["How many rows does prices.csv have?", "And which columns?"]

with analystd.connect_sync() as desk:
    desk.write_file("prices.csv", "day,price\n2024-01-01,17.5\n2024-01-02,18.25\n2024-01-03,17.0\n")
    conversation = None
    for question in QUESTIONS:
        print(f"? {question}")
        # Ctrl-C, or an error in this block, cancels the run.
        with desk.start_agent(question, conversation=conversation, max_steps=3, max_seconds=60) as run:
            for event in run.events():
                if event.kind == "tool_call":
                    print(f"→ {event.tool} {dict(event.arguments)}")
                elif event.kind == "tool_result":
                    print(f"{'←' if event.ok else '✗'} {event.text.strip()}  ({event.seconds:.1f} s)")
            answer = run.result()
        conversation = answer.conversation
        print(f"= {answer.answer}\n  {answer.status}, {answer.usage.completion_tokens} tokens, {run.id}")
