from pathlib import Path

import pytest

from analystd.engine.base import Completion, GenerateRequest, Message
from analystd.engine.llama.engine import LlamaEngine
from analystd.engine.llama.prefix_cache import PrefixCache, SharedPrefix
from analystd.engine.llama.slots import Slot, Slots

pytestmark = pytest.mark.slow

SYSTEM = Message("system", f"You know this: {'price ' * 100}")
COMMON = (SYSTEM, Message("user", "What is 1+1?"), Message("assistant", "1+1 is 2."))


class Tape:
    """A model's memory whose states are lists of tokens as text."""

    def __init__(self, *, refuses: bool = False) -> None:
        self.held: dict[int, list[int]] = {}
        self._refuses = refuses

    def keep(self, sequence: int, length: int) -> bool:
        del self.held.setdefault(sequence, [])[length:]
        return True

    def copy(self, source: int, target: int, length: int) -> bool:
        self.held[target] = self.held[source][:length]
        return True

    def stored(self, sequence: int) -> int:
        return len(self.held[sequence])

    def state(self, sequence: int, length: int) -> bytes:
        return " ".join(map(str, self.held[sequence][:length])).encode()

    def restore(self, sequence: int, state: bytes, length: int) -> bool:
        assert self.held[sequence] == []
        self.held[sequence] = [] if self._refuses else [int(token) for token in state.split()]
        return not self._refuses


def slot_of(tape: Tape, prompt: list[int]) -> tuple[Slots, Slot]:
    slots = Slots(tape, sequences=4)
    slot = slots.take("a", prompt)
    assert slot is not None
    return slots, slot


def test_a_processed_prefix_is_loaded_after_a_restart(tmp_path: Path) -> None:
    tape = Tape()
    slots, slot = slot_of(tape, [1, 2, 3])
    tape.held[slot.number] = slot.tokens = [1, 2, 3]
    SharedPrefix(tape, slots, PrefixCache(tmp_path, "m")).remember(slot, [1, 2])

    anew = Tape()
    slots, slot = slot_of(anew, [1, 2, 9])
    SharedPrefix(anew, slots, PrefixCache(tmp_path, "m")).recall(slot, [1, 2, 9], 2)
    assert (slot.tokens, anew.held[slot.number]) == ([1, 2], [1, 2])


def test_an_unprocessed_prefix_is_not_stored(tmp_path: Path) -> None:
    tape = Tape()
    slots, slot = slot_of(tape, [1, 2, 3])
    tape.held[slot.number] = slot.tokens = [1]
    SharedPrefix(tape, slots, PrefixCache(tmp_path, "m")).remember(slot, [1, 2])
    assert list(tmp_path.iterdir()) == []


def test_a_state_that_the_model_rejects_is_removed_and_the_slot_is_empty(tmp_path: Path) -> None:
    prefixes = PrefixCache(tmp_path, "m")
    prefixes.save([1, 2], b"1 2")
    tape = Tape(refuses=True)
    slots, slot = slot_of(tape, [1, 2, 3])
    SharedPrefix(tape, slots, prefixes).recall(slot, [1, 2, 3], 2)
    assert (slot.tokens, prefixes.load([1, 2])) == ([], None)


def test_a_prefix_that_a_conversation_holds_is_not_read_from_disk(tmp_path: Path) -> None:
    prefixes = PrefixCache(tmp_path, "m")
    prefixes.save([1, 2], b"1 2")
    tape = Tape()
    slots, slot = slot_of(tape, [1, 2, 3])
    tape.held[slot.number] = slot.tokens = [1, 2, 3]
    other = slots.take("b", [1, 2, 9])
    assert other is not None
    SharedPrefix(tape, slots, prefixes).recall(other, [1, 2, 9], 2)
    assert other.tokens == []


def test_a_conversation_lost_while_storing_is_processed_again(tmp_path: Path) -> None:
    class Forgetful(Tape):
        def state(self, sequence: int, length: int) -> bytes:
            part = super().state(sequence, length)
            self.held[sequence] = []
            return part

    tape = Forgetful()
    slots, slot = slot_of(tape, [1, 2, 3])
    tape.held[slot.number] = slot.tokens = [1, 2, 3]
    SharedPrefix(tape, slots, PrefixCache(tmp_path, "m")).remember(slot, [1, 2])
    assert slot.tokens == []


async def ask_anew(gguf: Path, prefixes: Path, question: str) -> Completion:
    """Ask a worker that was just started."""
    engine = LlamaEngine(lambda: gguf, context_tokens=512, prefixes=prefixes)
    try:
        messages = (*COMMON, Message("user", question))
        request = GenerateRequest("a", messages, max_tokens=12, common_messages=len(COMMON))
        return await engine.generate(request, lambda _: False)
    finally:
        await engine.aclose()


async def test_a_new_worker_begins_with_what_the_last_one_stored(gguf: Path, tmp_path: Path) -> None:
    first = await ask_anew(gguf, tmp_path, "What is 2+2?")
    (file,) = tmp_path.glob("*/*")
    second = await ask_anew(gguf, tmp_path, "What is 2+2?")
    assert (first.cached_tokens, first.text) == (0, second.text)
    assert second.cached_tokens > 100
    assert len(list(tmp_path.glob("*/*"))) == 1
    assert file.stat().st_size > 1_000_000


@pytest.mark.parametrize("damage", ["cut", "changed", "foreign"])
async def test_a_damaged_file_only_costs_time(gguf: Path, tmp_path: Path, damage: str) -> None:
    first = await ask_anew(gguf, tmp_path, "What is 2+2?")
    (file,) = tmp_path.glob("*/*")
    whole = file.read_bytes()
    file.write_bytes(
        {
            "cut": whole[: len(whole) // 3],
            "changed": whole[:1000] + b"\xff" * 1000 + whole[2000:],
            "foreign": b"GGUF" * 1000,
        }[damage]
    )
    second = await ask_anew(gguf, tmp_path, "What is 2+2?")
    assert (second.cached_tokens, second.text) == (0, first.text)
