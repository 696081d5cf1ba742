"""Declare the functions of llama.cpp's C library that are used here. Only the model's worker loads the library.

Two packages provide it: `llama-cpp-python`, which is compiled on this machine for its processor or GPU, and `xllamacpp`, a wheel that needs
no compiler. The first one is used where it is installed. Structures and signatures are those of `include/llama.h`. They change with
llama.cpp, so the library's version, the sizes of its structures and the defaults that it fills in are checked before a model is loaded.
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
"""The versions whose structures and signatures are declared here, as pip requirements."""

_SUFFIXES = (".so", ".dylib", ".dll", ".pyd")

INSTALL_HINT = "Run `pip install 'analystd[llama]'`."

_c = ctypes
_handle = _c.c_void_p
_bytes = _c.POINTER(_c.c_uint8)

TOKEN_ATTR_CONTROL, TOKEN_ATTR_USER_DEFINED = 1 << 3, 1 << 4
"""From `enum llama_token_attr`."""

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
    """Return `llama_context_params` with the fields that later versions have added after those about aborting."""
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
"""The layout of `llama_context_params` up to llama.cpp 0.5, and the later one. Added fields keep the library's defaults."""


class _Buffer(ctypes.Structure):
    """A buffer larger than any of the structures, for a structure whose layout is not known yet."""

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
"""The result and arguments of each function, by its name without `llama_`."""

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
"""The library's own defaults, if its structures have the layout declared here."""


@dataclass(frozen=True)
class Build:
    """An installed llama.cpp library."""

    package: Package
    version: str
    path: Path

    def __str__(self) -> str:
        return f"{self.package} {self.version}"


class Library:
    """The functions by their names without `llama_`, with the types of C."""

    def __init__(self, build: Build) -> None:
        self.build = build
        try:
            self._library = ctypes.CDLL(str(build.path))
        except OSError as exc:
            raise EngineUnavailableError(f"{build} cannot be used: {exc}", _install_hint(build)) from exc
        for name in _SIGNATURES:
            self._symbol(name)
        # The few bytes that this allocates are not freed: it is not known yet whether that is possible.
        self._require_size("batch_init", (LlamaBatch,), arguments=(1, 0, 1))
        model = self._declare_with_layout("model_default_params", (ModelParams,), _EXPECTED_MODEL)
        context = self._declare_with_layout("context_default_params", _CONTEXT_LAYOUTS, _EXPECTED_CONTEXT)
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
        """Return those of the layouts that have the size of a function's result; all of them, where that size cannot be measured.

        Raises:
            EngineUnavailableError: when none of them has that size.
        """
        size = filled_bytes(self._symbol(name), arguments)
        fitting = [each for each in layouts if size is None or _end_of_fields(each) <= size <= ctypes.sizeof(each)]
        if fitting:
            return fitting
        known = " or ".join(str(ctypes.sizeof(each)) for each in layouts)
        raise _mismatch(self.build, f"llama_{name} returns a structure of {size} bytes instead of {known}")

    def _declare_with_layout(
        self, name: str, layouts: Sequence[type[ctypes.Structure]], expected: Mapping[str, Any]
    ) -> type[ctypes.Structure]:
        """Declare a function that returns a structure with defaults, with the layout that yields the expected ones.

        Raises:
            EngineUnavailableError: when no layout yields them.
        """
        fitting = self._require_size(name, layouts)
        filled = self._function(name, _Buffer, ())()
        wrong = ""
        for layout in fitting:
            found = layout.from_buffer_copy(filled)
            wrong = next((each for each, value in expected.items() if getattr(found, each) != value), "")
            if not wrong:
                setattr(self, name, self._function(name, layout, ()))
                return layout
        raise _mismatch(self.build, f"llama_{name} returns an unexpected default for {wrong}")


class LazyLibrary:
    """The installed library, loaded when one of its functions is first used; see `Library`.

    Using it raises `EngineUnavailableError` when no suitable library is installed.
    """

    def __getattr__(self, name: str) -> Any:
        value = getattr(load_library(), name)
        setattr(self, name, value)
        return value


def find_build() -> Build | None:
    """Return the library to use: the one compiled on this machine if there is one, else the one of the wheel; None if neither is installed."""
    return installed(NATIVE) or installed(PREBUILT)


def installed(package: Package) -> Build | None:
    """Return the library that a package provides; None where it is not installed."""
    # The packages are not imported: their own code is not needed, and slow to import.
    module, pattern = ("llama_cpp", f"lib/{_file_name()}") if package == NATIVE else ("xllamacpp", "xllamacpp.*")
    spec = importlib.util.find_spec(module)
    for folder in map(Path, (spec.submodule_search_locations or ()) if spec is not None else ()):
        path = next((path for path in sorted(folder.glob(pattern)) if path.suffix in _SUFFIXES), None)
        if path is not None:
            return Build(package, _version(package), path)
    return None


@functools.cache
def load_library() -> Library:
    """Load the installed library, once.

    Raises:
        EngineUnavailableError: when none is installed, or the installed one does not match the declarations here.
    """
    build = find_build()
    if build is None:
        raise EngineUnavailableError("llama.cpp is not installed", INSTALL_HINT)
    return Library(build)


def _mismatch(build: Build, reason: str) -> EngineUnavailableError:
    return EngineUnavailableError(f"{build} does not fit this version of analystd: {reason}", _install_hint(build))


def _install_hint(build: Build) -> str:
    """Return how to replace a library that cannot be used: with another version, or with the other package if it is installed."""
    remedy = f"Run `pip install --force-reinstall --no-deps '{REQUIREMENTS[build.package]}'`"
    other = installed(PREBUILT) if build.package == NATIVE else None
    return f"{remedy}, or `pip uninstall {NATIVE}` to use {other}." if other is not None else f"{remedy}."


def _is_met(requirement: str, version: str) -> bool:
    """Return whether a package's version meets a requirement; an unknown version is assumed to."""
    found = _numbers(version)
    compare = {"==": operator.eq, ">=": operator.ge, "<": operator.lt}
    conditions = re.findall(r"(==|>=|<)([\d.]+)", requirement)
    return not found or all(compare[sign](found, _numbers(number)) for sign, number in conditions)


def _numbers(version: str) -> tuple[int, ...]:
    """Return the numbers of a version, without the build information after a `+`."""
    return tuple(map(int, re.findall(r"\d+", version.partition("+")[0])))


def _end_of_fields(layout: type[ctypes.Structure]) -> int:
    """Return the size of a structure without the padding at its end."""
    last = getattr(layout, layout._fields_[-1][0])
    return int(last.offset + last.size)


def _version(package: Package) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "of unknown version"


def _file_name() -> str:
    return {"darwin": "libllama.dylib", "win32": "llama.dll"}.get(sys.platform, "libllama.so")
