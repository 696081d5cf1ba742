"""A GGUF model in memory with one llama.cpp context, on the low-level API. Only the engine worker imports this.

Each sequence has cells of its own, in the order of its tokens, so that the results for a conversation do not depend on the others in
memory. On a CPU, its keys are stored as `q8_0`: when keys and values have different types, llama.cpp has one implementation of attention,
whatever the size of the batch and of the context; for equal types it has three, which add up in different orders.
"""

from __future__ import annotations

import ctypes
import enum
import itertools
import logging
import re
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from analystd.config.setting_parsers import Adapter
from analystd.engine.llama.amx_workaround import without_tiles
from analystd.engine.llama.cpu_count import usable_cores
from analystd.engine.llama.libllama import (
    TOKEN_ATTR_CONTROL,
    TOKEN_ATTR_USER_DEFINED,
    LazyLibrary,
    Token,
    abort_callback,
    log_callback,
)
from analystd.models.memory_estimate import padded, window_of
from analystd.wire.errors import EngineUnavailableError

logger = logging.getLogger(__name__)

lib = LazyLibrary()

CPU_BATCH = 64
"""Small, because an aborted batch is lost as a whole. llama.cpp is no faster with more on a CPU (64: 381 tokens/s, 512: 336)."""
GPU_BATCH = 512
MOST_CONVERSATIONS = 4
"""Maximum number of sequences in memory: as many as agents share the model."""

_SPECIAL = TOKEN_ATTR_CONTROL | TOKEN_ATTR_USER_DEFINED
_WARNING, _ERROR = 3, 4
_ERRORS_KEPT = 4
_F16, _Q8_0 = 1, 8
"""From `enum ggml_type`."""

Logits = npt.NDArray[np.float32]


@dataclass(frozen=True)
class BatchEntry:
    """One token of a batch: its position, its sequence, and whether the scores after it are needed."""

    token: int
    position: int
    sequence: int
    wants_logits: bool


class BatchOutcome(enum.Enum):
    """How a batch ended."""

    DONE = 0
    ABORTED = 2
    FAILED = -1


class Vocabulary:
    """The model's tokens."""

    def __init__(self, handle: object) -> None:
        self.handle = handle
        self.size: int = lib.vocab_n_tokens(handle)
        self.bos: int = lib.vocab_bos(handle)
        self.eos: int = lib.vocab_eos(handle)
        self.adds_bos: bool = lib.vocab_get_add_bos(handle)
        self.ends = frozenset(token for token in range(self.size) if lib.vocab_is_eog(handle, token))
        """Tokens that end a reply."""
        self.reserved = self.ends | {
            token for token in range(self.size) if lib.vocab_get_attr(handle, token) & _SPECIAL
        }
        """Tokens that mean more than their text. No content may become one of them."""

    def tokenize(self, text: str, *, special: bool) -> list[int]:
        """Return the tokens of a text; with `special`, control tokens are recognised in it."""
        data = text.encode("utf-8", "replace")
        room = len(data) + 2
        tokens = (Token * room)()
        count = lib.tokenize(self.handle, data, len(data), tokens, room, False, special)
        if count < 0:
            raise EngineUnavailableError(f"The model's tokenizer refused a text of {len(data)} bytes")
        return list(tokens[:count])

    def piece(self, token: int, *, special: bool = False) -> bytes:
        """Return the bytes of a token, which need not be whole characters; none for a control token unless `special`."""
        room = 64
        while True:
            buffer = ctypes.create_string_buffer(room)
            count = lib.token_to_piece(self.handle, token, buffer, room, 0, special)
            if count >= 0:
                return buffer.raw[:count]
            room = -count


class LlamaModel:
    """A loaded model. `decode` runs a batch; the `logits` of its entries are valid until the next one."""

    def __init__(
        self,
        path: Path,
        *,
        gpu_layers: int = -1,
        context_tokens: int = 0,
        conversations: int = MOST_CONVERSATIONS,
        threads: int = 0,
        adapters: Sequence[Adapter] = (),
    ) -> None:
        self._log = _Log()
        lib.backend_init()
        # Called first, since it initializes the GPU's libraries, which must not happen while this process has little room for signals.
        self.on_gpu = uses_gpu(gpu_layers)
        self._model = self._load(path, gpu_layers)
        self.vocabulary = Vocabulary(lib.model_get_vocab(self._model))
        self.batch_size = GPU_BATCH if self.on_gpu else CPU_BATCH
        trained: int = lib.model_n_ctx_train(self._model)
        self._context = self._open(window_of(context_tokens, trained), conversations, threads or usable_cores())
        self._adapt(adapters)
        self.window: int = lib.n_ctx_seq(self._context)
        """The number of tokens that one conversation can hold."""
        self.conversations: int = lib.n_seq_max(self._context)
        """How many conversations are kept in memory: fewer than requested if memory did not suffice."""
        self.can_share = not (lib.model_is_recurrent(self._model) or lib.model_is_hybrid(self._model))
        """Whether a sequence can begin with a part of another. A state that summarizes all tokens before it cannot be split."""
        self.parameters: int = lib.model_n_params(self._model)
        """The number of its weights."""
        self._memory = lib.get_memory(self._context)
        self._batch = lib.batch_init(self.batch_size, 0, 1)
        self._abort = abort_callback(lambda _: self._should_abort())
        self._never = abort_callback()
        self._should_abort: Callable[[], bool] = lambda: False

    @property
    def chat_template(self) -> str | None:
        """The template in the GGUF."""
        text = lib.model_chat_template(self._model, None)
        return None if text is None else text.decode("utf-8", "replace")

    @property
    def description(self) -> str:
        """The model's architecture, size and quantization in a few words."""
        buffer = ctypes.create_string_buffer(256)
        lib.model_desc(self._model, buffer, len(buffer))
        return buffer.value.decode("utf-8", "replace")

    @property
    def build(self) -> str:
        """What a state depends on besides the files: llama.cpp's version, the processor's features, and the layout of the context."""
        system: bytes = lib.print_system_info()
        return f"{lib.build} {system.decode()} {self.window} {self.batch_size} own cells {self.on_gpu}"

    def decode(self, entries: Sequence[BatchEntry], should_abort: Callable[[], bool] | None = None) -> BatchOutcome:
        """Process a batch of at most `batch_size` entries.

        `should_abort` is called some hundred times during a batch (on a CPU; a GPU finishes its batch). When it returns True, or the batch
        fails, drop the entries' positions with `keep`: some of them may have been stored.
        """
        batch = self._batch
        batch.n_tokens = len(entries)
        for index, entry in enumerate(entries):
            batch.token[index] = entry.token
            batch.pos[index] = entry.position
            batch.n_seq_id[index] = 1
            batch.seq_id[index][0] = entry.sequence
            batch.logits[index] = entry.wants_logits
        self._should_abort = should_abort or self._should_abort
        lib.set_abort_callback(self._context, self._abort if should_abort else self._never, None)
        code: int = lib.decode(self._context, batch)
        return BatchOutcome(code) if code in (0, 2) else BatchOutcome.FAILED

    def logits(self, index: int) -> Logits:
        """Return the scores of all tokens after entry `index` of the last batch, as a view that the next batch overwrites."""
        pointer = lib.get_logits_ith(self._context, index)
        return np.ctypeslib.as_array(pointer, (self.vocabulary.size,))

    def keep(self, sequence: int, length: int) -> bool:
        """Drop what a sequence holds from position `length` on. Returns False where this model can only drop the whole sequence, and does so."""
        if lib.memory_seq_rm(self._memory, sequence, length, -1):
            return True
        lib.memory_seq_rm(self._memory, sequence, -1, -1)
        return False

    def copy(self, source: int, target: int, length: int) -> bool:
        """Copy the first `length` positions of a sequence to an empty one. Returns False, and leaves it empty, when that is not possible.

        The copy is made through a state, since llama.cpp's own copy takes all cells, and is carried out only with the next batch.
        """
        return self._put(target, self._whole_state(source)) and self.keep(target, length)

    def state(self, sequence: int, length: int) -> bytes:
        """Return the state of a sequence's first `length` positions, for `restore`; empty when llama.cpp does not provide it.

        If the whole sequence cannot be restored afterwards, it is empty: see `stored`.
        """
        whole = self._whole_state(sequence)
        part = self._whole_state(sequence) if self.keep(sequence, length) else b""
        self.keep(sequence, 0)
        self._put(sequence, whole)
        return part

    def restore(self, sequence: int, state: bytes, length: int) -> bool:
        """Fill an empty sequence with the `length` positions of a state. Returns False, and leaves it empty, when the state does not fit."""
        if self._put(sequence, state) and self.stored(sequence) == length:
            return True
        self.keep(sequence, 0)
        return False

    def stored(self, sequence: int) -> int:
        """Return how many positions a sequence holds."""
        return int(lib.memory_seq_pos_max(self._memory, sequence)) + 1

    def close(self) -> None:
        """Free the model and its context."""
        lib.batch_free(self._batch)
        lib.free(self._context)
        lib.model_free(self._model)

    def _load(self, path: Path, gpu_layers: int) -> object:
        parameters = lib.model_default_params()
        parameters.n_gpu_layers = gpu_layers
        with without_tiles():
            model = lib.model_load_from_file(str(path).encode(), parameters)
        if not model:
            raise _not_loaded(path, self._log.errors)
        return model

    def _adapt(self, adapters: Sequence[Adapter]) -> None:
        """Apply LoRA adapters to the weights. They are freed with the model."""
        if not adapters:
            return
        handles = (ctypes.c_void_p * len(adapters))()
        for index, adapter in enumerate(adapters):
            handle = lib.adapter_lora_init(self._model, adapter.path.encode())
            if not handle:
                raise EngineUnavailableError(
                    f"The adapter {adapter.path} could not be applied: {_reason(self._log.errors)}",
                    "Set AGENT_LORA_PATH to LoRA adapters that were made for this model.",
                )
            handles[index] = handle
        scales = (ctypes.c_float * len(adapters))(*(adapter.scale for adapter in adapters))
        if lib.set_adapters_lora(self._context, handles, len(adapters), scales) != 0:
            raise EngineUnavailableError(f"The adapters could not be applied: {_reason(self._log.errors)}")

    def _whole_state(self, sequence: int) -> bytes:
        room: int = lib.state_seq_get_size(self._context, sequence)
        buffer = (ctypes.c_uint8 * room)()
        size: int = lib.state_seq_get_data(self._context, buffer, room, sequence)
        return bytes(memoryview(buffer)[:size])

    def _put(self, sequence: int, state: bytes) -> bool:
        """Fill an empty sequence. Returns False, and leaves it empty, when llama.cpp does not take all of the state."""
        buffer = (ctypes.c_uint8 * len(state)).from_buffer_copy(state)
        if state and lib.state_seq_set_data(self._context, buffer, len(state), sequence) == len(state):
            return True
        self.keep(sequence, 0)
        return False

    def _open(self, window: int, conversations: int, threads: int) -> object:
        """Return a context for at most `conversations` conversations, or fewer if memory does not suffice."""
        # The width of a head may not be a multiple of the block size of q8_0.
        key_types = (_F16,) if self.on_gpu else (_Q8_0, _F16)
        counts = [count for count in (conversations, conversations // 2, 1) if count]
        for count, key_type in itertools.product(dict.fromkeys(counts), key_types):
            self._log.errors.clear()
            parameters = self._parameters(window, count, threads)
            parameters.type_k, parameters.type_v = key_type, _F16
            if context := lib.init_from_model(self._model, parameters):
                return context
        raise EngineUnavailableError(
            f"A context of {window} tokens could not be created: {_reason(self._log.errors)}",
            "Set AGENT_CONTEXT_TOKENS to a smaller number, or AGENT_GPU_LAYERS to fewer layers.",
        )

    def _parameters(self, window: int, conversations: int, threads: int) -> Any:
        parameters = lib.context_default_params()
        parameters.n_ctx = padded(window) * conversations
        parameters.n_batch = parameters.n_ubatch = self.batch_size
        parameters.n_seq_max = conversations
        parameters.n_threads = parameters.n_threads_batch = threads
        parameters.kv_unified = False
        parameters.no_perf = True
        return parameters


class _Log:
    """Receives llama.cpp's log: forwards warnings and errors, and keeps the errors to explain a failure."""

    def __init__(self) -> None:
        self.errors: deque[str] = deque(maxlen=_ERRORS_KEPT)
        self._callback = log_callback(self._take)
        lib.log_set(self._callback, None)

    def _take(self, level: int, text: bytes, _: object) -> None:
        line = text.decode("utf-8", "replace").strip()
        if line and level in (_WARNING, _ERROR):
            logger.warning("%s", line)
        if line and level == _ERROR:
            self.errors.append(line)


def uses_gpu(gpu_layers: int) -> bool:
    """Return whether layers run on a GPU: the setting asks for it, and llama.cpp was built for a GPU and finds one."""
    return gpu_layers != 0 and bool(lib.supports_gpu_offload())


def _not_loaded(path: Path, errors: Sequence[str]) -> EngineUnavailableError:
    reason = _reason(errors)
    hint = (
        "A newer llama-cpp-python may support it; or choose another model (`analystd model list`)."
        if "unknown model architecture" in reason
        else "Fetch it again, or choose another model (`analystd model list`)."
    )
    return EngineUnavailableError(f"{path} could not be loaded: {reason}", hint)


def _reason(errors: Sequence[str]) -> str:
    """Return llama.cpp's reason for a failure: the first of the last errors names the cause, the later ones only report a failure."""
    if not errors:
        return "llama.cpp gave no reason"
    return re.sub(r"^(\w+: )+(error loading model[\w ]*: )*", "", errors[0])
