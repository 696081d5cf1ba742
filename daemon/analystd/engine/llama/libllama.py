"""The functions of llama.cpp's C library that are used here, from whichever package brings the library; only the model's worker loads it.

Two packages do: `llama-cpp-python`, compiled on this machine for its very processor or GPU, and `xllamacpp`, a wheel that needs no
compiler. The first is taken where it is installed. Structures and signatures are those of `include/llama.h`; they change with llama.cpp, so
the library's version, the sizes of its structures and the defaults that it fills in are held to those expected before anything is loaded
with it.
"""

from __future__ import annotations

import ctypes
import functools
import importlib.util
import operator
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Literal

from analystd.engine.llama.struct_size import ROOM_BYTES, filled_bytes
from analystd.wire.errors import EngineUnavailableError

Package = Literal["llama-cpp-python", "xllamacpp"]

NATIVE: Package = "llama-cpp-python"
PREBUILT: Package = "xllamacpp"

REQUIREMENTS: dict[Package, str] = {
    NATIVE: "llama-cpp-python>=0.3.36,<0.4",
    PREBUILT: "xllamacpp==2026.10.11549",
}
"""The versions whose structures and signatures are written here, as pip takes them."""

_SUFFIXES = (".so", ".dylib", ".dll", ".pyd")

INSTALL_HINT = "Run `pip install 'analystd[llama]'`."

_c = ctypes
_handle = _c.c_void_p
_bytes = _c.POINTER(_c.c_uint8)

TOKEN_ATTR_CONTROL, TOKEN_ATTR_USER_DEFINED = 1 << 3, 1 << 4
"""Of `enum llama_token_attr`."""

Token = _c.c_int32
abort_callback = _c.CFUNCTYPE(_c.c_bool, _c.c_void_p)
log_callback = _c.CFUNCTYPE(None, _c.c_int, _c.c_char_p, _c.c_void_p)


class ModelParams(ctypes.Structure):
    """`llama_model_params`."""

    _fields_ = (
        ("devices", _c.c_void_p),
        ("tensor_buft_overrides", _c.c_void_p),
        ("n_gpu_layers", _c.c_int32),
        ("split_mode", _c.c_int),
        ("load_mode", _c.c_int),
        ("lazy_mode", _c.c_int),
        ("main_gpu", _c.c_int32),
        ("tensor_split", _c.c_void_p),
        ("progress_callback", _c.c_void_p),
        ("progress_callback_user_data", _c.c_void_p),
        ("kv_overrides", _c.c_void_p),
        *(
            (name, _c.c_bool)
            for name in ("vocab_only", "check_tensors", "use_extra_bufts", "no_host", "no_alloc", "load_mtp")
        ),
    )


def _context_params(*added: tuple[str, Any]) -> type[ctypes.Structure]:
    """Return `llama_context_params` with fields that later versions have added after those about aborting."""
    unsigned = ("n_ctx", "n_batch", "n_ubatch", "n_seq_max", "n_rs_seq", "n_outputs_max", "n_outputs_max_per_seq")
    kinds = ("ctx_type", "rope_scaling_type", "pooling_type", "attention_type", "flash_attn_type")
    rope = (
        "rope_freq_base",
        "rope_freq_scale",
        "yarn_ext_factor",
        "yarn_attn_factor",
        "yarn_beta_fast",
        "yarn_beta_slow",
    )
    switches = ("embeddings", "offload_kqv", "no_perf", "op_offload", "swa_full", "kv_unified")
    fields = (
        *((name, _c.c_uint32) for name in unsigned),
        ("n_threads", _c.c_int32),
        ("n_threads_batch", _c.c_int32),
        *((name, _c.c_int) for name in kinds),
        *((name, _c.c_float) for name in rope),
        ("yarn_orig_ctx", _c.c_uint32),
        ("defrag_thold", _c.c_float),
        ("cb_eval", _c.c_void_p),
        ("cb_eval_user_data", _c.c_void_p),
        ("type_k", _c.c_int),
        ("type_v", _c.c_int),
        ("abort_callback", _c.c_void_p),
        ("abort_callback_data", _c.c_void_p),
        *added,
        *((name, _c.c_bool) for name in switches),
        ("samplers", _c.c_void_p),
        ("n_samplers", _c.c_size_t),
        ("ctx_other", _c.c_void_p),
    )
    return type("ContextParams", (ctypes.Structure,), {"_fields_": fields})


_CONTEXT_LAYOUTS = (_context_params(), _context_params(("since_0_6", _c.c_void_p)))
"""What `llama_context_params` looked like up to llama.cpp 0.5, and what it looks like since; what is added stays as the library fills it in."""


class _Room(ctypes.Structure):
    """More than any of the structures takes, to take a look at one whose layout is not known yet."""

    _fields_ = (("bytes", _c.c_uint8 * ROOM_BYTES),)


class LlamaBatch(ctypes.Structure):
    """`llama_batch`."""

    _fields_ = (
        ("n_tokens", _c.c_int32),
        ("token", _c.POINTER(Token)),
        ("embd", _c.POINTER(_c.c_float)),
        ("pos", _c.POINTER(_c.c_int32)),
        ("n_seq_id", _c.POINTER(_c.c_int32)),
        ("seq_id", _c.POINTER(_c.POINTER(_c.c_int32))),
        ("logits", _c.POINTER(_c.c_int8)),
    )


class TokenData(ctypes.Structure):
    """`llama_token_data`."""

    _fields_ = (("id", Token), ("logit", _c.c_float), ("p", _c.c_float))


class TokenDataArray(ctypes.Structure):
    """`llama_token_data_array`."""

    _fields_ = (
        ("data", _c.POINTER(TokenData)),
        ("size", _c.c_size_t),
        ("selected", _c.c_int64),
        ("sorted", _c.c_bool),
    )


_SIGNATURES: dict[str, tuple[Any, tuple[Any, ...]]] = {
    "backend_init": (None, ()),
    "log_set": (None, (log_callback, _c.c_void_p)),
    "print_system_info": (_c.c_char_p, ()),
    "supports_gpu_offload": (_c.c_bool, ()),
    # Models.
    "model_free": (None, (_handle,)),
    "model_get_vocab": (_handle, (_handle,)),
    "model_n_ctx_train": (_c.c_int32, (_handle,)),
    "model_n_params": (_c.c_uint64, (_handle,)),
    "model_is_recurrent": (_c.c_bool, (_handle,)),
    "model_is_hybrid": (_c.c_bool, (_handle,)),
    "model_desc": (_c.c_int32, (_handle, _c.c_char_p, _c.c_size_t)),
    "model_chat_template": (_c.c_char_p, (_handle, _c.c_char_p)),
    "adapter_lora_init": (_handle, (_handle, _c.c_char_p)),
    # Vocabularies.
    "vocab_n_tokens": (_c.c_int32, (_handle,)),
    "vocab_bos": (Token, (_handle,)),
    "vocab_eos": (Token, (_handle,)),
    "vocab_get_add_bos": (_c.c_bool, (_handle,)),
    "vocab_is_eog": (_c.c_bool, (_handle, Token)),
    "vocab_get_attr": (_c.c_int, (_handle, Token)),
    "tokenize": (
        _c.c_int32,
        (_handle, _c.c_char_p, _c.c_int32, _c.POINTER(Token), _c.c_int32, _c.c_bool, _c.c_bool),
    ),
    "token_to_piece": (_c.c_int32, (_handle, Token, _c.c_char_p, _c.c_int32, _c.c_int32, _c.c_bool)),
    # Contexts.
    "free": (None, (_handle,)),
    "n_ctx_seq": (_c.c_uint32, (_handle,)),
    "n_seq_max": (_c.c_uint32, (_handle,)),
    "set_abort_callback": (None, (_handle, abort_callback, _c.c_void_p)),
    "set_adapters_lora": (_c.c_int32, (_handle, _c.POINTER(_handle), _c.c_size_t, _c.POINTER(_c.c_float))),
    "batch_init": (LlamaBatch, (_c.c_int32, _c.c_int32, _c.c_int32)),
    "batch_free": (None, (LlamaBatch,)),
    "decode": (_c.c_int32, (_handle, LlamaBatch)),
    "get_logits_ith": (_c.POINTER(_c.c_float), (_handle, _c.c_int32)),
    # What a context holds.
    "get_memory": (_handle, (_handle,)),
    "memory_seq_rm": (_c.c_bool, (_handle, _c.c_int32, _c.c_int32, _c.c_int32)),
    "memory_seq_pos_max": (_c.c_int32, (_handle, _c.c_int32)),
    "state_seq_get_size": (_c.c_size_t, (_handle, _c.c_int32)),
    "state_seq_get_data": (_c.c_size_t, (_handle, _bytes, _c.c_size_t, _c.c_int32)),
    "state_seq_set_data": (_c.c_size_t, (_handle, _bytes, _c.c_size_t, _c.c_int32)),
    # Grammars.
    "sampler_init_grammar": (_handle, (_handle, _c.c_char_p, _c.c_char_p)),
    "sampler_accept": (None, (_handle, Token)),
    "sampler_apply": (None, (_handle, _c.POINTER(TokenDataArray))),
    "sampler_free": (None, (_handle,)),
}
"""Result and arguments of each function, without `llama_`."""

_EXPECTED_MODEL = {"n_gpu_layers": -1, "split_mode": 1, "main_gpu": 0, "vocab_only": False, "use_extra_bufts": True}
_EXPECTED_CONTEXT = {
    "n_ctx": 512,
    "n_batch": 2048,
    "n_ubatch": 512,
    "n_seq_max": 1,
    "rope_scaling_type": -1,
    "yarn_ext_factor": -1.0,
    "yarn_orig_ctx": 0,
    "type_k": 1,
    "type_v": 1,
    "embeddings": False,
    "offload_kqv": True,
    "kv_unified": False,
    "samplers": None,
    "n_samplers": 0,
}
"""What the library's own defaults are where its structures are laid out as here."""


@dataclass(frozen=True)
class Build:
    """A library of llama.cpp that is installed."""

    package: Package
    version: str
    path: Path

    def __str__(self) -> str:
        return f"{self.package} {self.version}"


class Library:
    """The functions by their names without `llama_`, typed as C has them."""

    def __init__(self, build: Build) -> None:
        self.build = build
        try:
            self._library = ctypes.CDLL(str(build.path))
        except OSError as exc:
            raise EngineUnavailableError(f"{build} cannot be used: {exc}", _remedy(build)) from exc
        for name in _SIGNATURES:
            self._symbol(name)
        # What this allocates, some bytes, stays: whether it can be freed is not known yet.
        self._require_size("batch_init", (LlamaBatch,), arguments=(1, 0, 1))
        model = self._layout("model_default_params", (ModelParams,), _EXPECTED_MODEL)
        context = self._layout("context_default_params", _CONTEXT_LAYOUTS, _EXPECTED_CONTEXT)
        if not _is_met(REQUIREMENTS[build.package], build.version):
            raise _mismatch(build, f"{REQUIREMENTS[build.package]} is needed")
        for name, (result, arguments) in _SIGNATURES.items():
            setattr(self, name, self._function(name, result, arguments))
        self.model_load_from_file = self._function("model_load_from_file", _handle, (_c.c_char_p, model))
        self.init_from_model = self._function("init_from_model", _handle, (_handle, context))

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(f"llama_{name} is not declared")

    def _symbol(self, name: str) -> Any:
        try:
            return self._library[f"llama_{name}"]
        except AttributeError:
            raise _mismatch(self.build, f"it has no function llama_{name}") from None

    def _function(self, name: str, result: Any, arguments: tuple[Any, ...]) -> Any:
        function = self._symbol(name)
        function.restype, function.argtypes = result, arguments
        return function

    def _require_size(
        self, name: str, layouts: Sequence[type[ctypes.Structure]], arguments: Sequence[Any] = ()
    ) -> list[type[ctypes.Structure]]:
        """Return those of the layouts that are as large as what a function gives: all, where its size cannot be found out.

        Raises:
            EngineUnavailableError: when none is.
        """
        size = filled_bytes(self._symbol(name), arguments)
        fitting = [each for each in layouts if size is None or _end_of_fields(each) <= size <= ctypes.sizeof(each)]
        if fitting:
            return fitting
        known = " or ".join(str(ctypes.sizeof(each)) for each in layouts)
        raise _mismatch(self.build, f"llama_{name} gives another structure, of {size} bytes, where {known} are known")

    def _layout(
        self, name: str, layouts: Sequence[type[ctypes.Structure]], expected: Mapping[str, Any]
    ) -> type[ctypes.Structure]:
        """Declare a function that gives a structure with defaults, laid out so that they are those expected.

        Raises:
            EngineUnavailableError: when none of the layouts gives them.
        """
        fitting = self._require_size(name, layouts)
        filled = self._function(name, _Room, ())()
        wrong = ""
        for layout in fitting:
            found = layout.from_buffer_copy(filled)
            wrong = next((each for each, value in expected.items() if getattr(found, each) != value), "")
            if not wrong:
                setattr(self, name, self._function(name, layout, ()))
                return layout
        raise _mismatch(self.build, f"llama_{name} gives another {wrong} than is known here")


class LazyLibrary:
    """The library that is installed, loaded when one of its functions is first used, as `Library` has them.

    Using it raises `EngineUnavailableError` when there is none, or none that fits.
    """

    def __getattr__(self, name: str) -> Any:
        value = getattr(load_library(), name)
        setattr(self, name, value)
        return value


def find_build() -> Build | None:
    """Return the library that is used: the one compiled on this machine where there is one, else the one of the wheel; None: neither is there."""
    return installed(NATIVE) or installed(PREBUILT)


def installed(package: Package) -> Build | None:
    """Return the library that a package brings; None where it is not installed."""
    # Found without being imported: the packages' own code is not needed, and would take long.
    module, pattern = ("llama_cpp", f"lib/{_file_name()}") if package == NATIVE else ("xllamacpp", "xllamacpp.*")
    spec = importlib.util.find_spec(module)
    for folder in map(Path, (spec.submodule_search_locations or ()) if spec is not None else ()):
        path = next((path for path in sorted(folder.glob(pattern)) if path.suffix in _SUFFIXES), None)
        if path is not None:
            return Build(package, _version(package), path)
    return None


@functools.cache
def load_library() -> Library:
    """Load the library that is installed, once.

    Raises:
        EngineUnavailableError: when none is installed, or the one that is does not match what is written here.
    """
    build = find_build()
    if build is None:
        raise EngineUnavailableError("llama.cpp is not installed", INSTALL_HINT)
    return Library(build)


def _mismatch(build: Build, reason: str) -> EngineUnavailableError:
    return EngineUnavailableError(f"{build} does not fit this version of analystd: {reason}", _remedy(build))


def _remedy(build: Build) -> str:
    """What to do about a library that cannot be used: another version of it, or the other package where that is there too."""
    remedy = f"Run `pip install --force-reinstall --no-deps '{REQUIREMENTS[build.package]}'`"
    other = installed(PREBUILT) if build.package == NATIVE else None
    return f"{remedy}, or `pip uninstall {NATIVE}`, and {other} is used." if other is not None else f"{remedy}."


def _is_met(requirement: str, version: str) -> bool:
    """Whether a package's version is one of those required; a version that is not known is believed to be."""
    found = _numbers(version)
    compare = {"==": operator.eq, ">=": operator.ge, "<": operator.lt}
    conditions = re.findall(r"(==|>=|<)([\d.]+)", requirement)
    return not found or all(compare[sign](found, _numbers(number)) for sign, number in conditions)


def _numbers(version: str) -> tuple[int, ...]:
    """The numbers of a version, without what follows a `+`: how it was built."""
    return tuple(map(int, re.findall(r"\d+", version.partition("+")[0])))


def _end_of_fields(layout: type[ctypes.Structure]) -> int:
    """The bytes of a structure without the padding at its end."""
    last = getattr(layout, layout._fields_[-1][0])
    return int(last.offset + last.size)


def _version(package: Package) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "of unknown version"


def _file_name() -> str:
    return {"darwin": "libllama.dylib", "win32": "llama.dll"}.get(sys.platform, "libllama.so")
