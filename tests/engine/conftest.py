from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from analystd.engine.llama.engine import LlamaEngine
from analystd.engine.llama.llama_model import LlamaModel


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def engine(gguf: Path) -> AsyncIterator[LlamaEngine]:
    """A real worker with the real model."""
    engine = LlamaEngine(lambda: gguf, context_tokens=1024)
    await engine.load()
    yield engine
    await engine.aclose()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def small_engine(gguf: Path) -> AsyncIterator[LlamaEngine]:
    """A worker with a context of 256 tokens, which is soon full."""
    engine = LlamaEngine(lambda: gguf, context_tokens=256)
    await engine.load()
    yield engine
    await engine.aclose()


@pytest.fixture(scope="module")
def model(gguf: Path) -> Iterator[LlamaModel]:
    """The real model in this process, for tests of its vocabulary."""
    model = LlamaModel(gguf, context_tokens=512)
    yield model
    model.close()
