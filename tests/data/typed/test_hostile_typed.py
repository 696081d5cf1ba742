"""Hostile typed files, viewed by a worker that has to survive them."""

from __future__ import annotations

import datetime
import decimal
import io
import os
import random
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pyarrow.parquet.encryption as encryption
import pytest

from analystd.data.base import FileInJail
from analystd.data.positioned_file import PositionedFile, ViewCancelledError
from analystd.data.typed.parquet_table import ParquetTable
from analystd.data.view_request import ViewRequest
from analystd.data.worker_client import DataWorker
from analystd.jail.sandbox import measure_sandbox
from analystd.jail.workspace import Workspace
from analystd.wire.errors import ResourceLimitError, WorkspaceError

pytestmark = pytest.mark.slow

OpenFile = Callable[..., PositionedFile]


@pytest.fixture
async def data(folder: Path, tmp_path: Path) -> AsyncIterator[DataWorker]:
    runtime = tmp_path / "runtime"
    runtime.mkdir()
    worker = DataWorker(Workspace(folder, min_free_ram_percent=0), await measure_sandbox("auto"), runtime)
    yield worker
    await worker.aclose()


def sample() -> pa.Table:
    return pa.table(
        {
            "i": range(300),
            "s": [f"s{number % 7}" for number in range(300)],
            "l": [[number, None] for number in range(300)],
            "t": [{"a": number, "b": str(number)} for number in range(300)],
        }
    )


def parquet_bytes(table: pa.Table, **options: Any) -> bytes:
    stream = io.BytesIO()
    pq.write_table(table, stream, **options)
    return stream.getvalue()


def damaged(content: bytes, chance: random.Random) -> bytes:
    """Return the content truncated, or with some bytes changed, half of the time in the footer."""
    if chance.random() < 0.2:
        return content[: chance.randrange(len(content))]
    footer = len(content) - 8 - int.from_bytes(content[-8:-4], "little")
    changed = bytearray(content)
    for _ in range(chance.randint(1, 6)):
        at = chance.randrange(footer, len(content)) if chance.random() < 0.5 else chance.randrange(len(content))
        changed[at] = chance.choice((0, 0x7F, 0x80, 0xFF, chance.randrange(256)))
    return bytes(changed)


async def test_damage_anywhere_is_one_error_and_the_worker_lives_on(data: DataWorker, folder: Path) -> None:
    chance = random.Random(11)
    whole = parquet_bytes(sample(), row_group_size=100)
    (folder / "whole.parquet").write_bytes(whole)
    expected = (await data.view(FileInJail("whole.parquet"), ViewRequest("head")))["rows"]
    pid, refused = data.pid, 0
    for number in range(60):
        (folder / "x.parquet").write_bytes(damaged(whole, chance))
        for operation in ("head", "tail", "describe", "shape"):
            try:
                await data.view(FileInJail("x.parquet"), ViewRequest(operation))
            except (WorkspaceError, ResourceLimitError) as exc:
                assert exc.message.startswith("x.parquet ")
                refused += 1
        if number % 10 == 0:
            assert (await data.view(FileInJail("whole.parquet"), ViewRequest("head")))["rows"] == expected
    assert data.pid == pid
    assert refused > 60


def test_a_footer_that_contradicts_itself_is_named(open_bytes: OpenFile) -> None:
    content = parquet_bytes(pa.table({"n": range(100)}))
    # The number of all rows, as Thrift's compact protocol writes 100 and 101.
    assert content.count(b"\x16\xc8\x01\x19") == 1
    changed = content.replace(b"\x16\xc8\x01\x19", b"\x16\xca\x01\x19")
    with pytest.raises(WorkspaceError, match="its footer declares 101 rows, its row groups 100"):
        ParquetTable(open_bytes(changed))


async def test_a_cell_of_fifty_megabytes_is_shown_whole(data: DataWorker, folder: Path) -> None:
    cell = "x" * 50_000_000
    pq.write_table(pa.table({"s": [cell, "short", cell]}), folder / "huge.parquet")
    result = await data.view(FileInJail("huge.parquet"), ViewRequest("head"))
    assert result["rows"] == [[cell]]
    assert result["warnings"] == ["Only 1 of 3 rows are returned: a reply holds at most 16 MiB"]
    assert len(result["text"]) < 200
    assert (await data.view(FileInJail("huge.parquet"), ViewRequest("rows", offset=1, n_rows=1)))["rows"] == [["short"]]


async def test_a_row_larger_than_a_reply_is_refused(data: DataWorker, folder: Path) -> None:
    # Each NUL is written as six characters.
    pq.write_table(pa.table({"s": ["\0" * 30_000_000]}), folder / "huge.parquet")
    with pytest.raises(ResourceLimitError, match=r"Row 0 of huge\.parquet holds 171 MiB; a reply holds at most 128"):
        await data.view(FileInJail("huge.parquet"), ViewRequest("head"))
    assert (await data.view(FileInJail("huge.parquet"), ViewRequest("shape")))["num_rows"] == 1


async def test_page_bombs_are_read_only_as_far_as_requested(data: DataWorker, folder: Path) -> None:
    zeros = pa.array(np.zeros(20_000_000))
    pq.write_table(pa.table({"x": zeros}), folder / "pages.parquet", compression="zstd", row_group_size=2**26)
    repeated = pa.DictionaryArray.from_arrays(pa.array(np.zeros(100_000, np.int32)), ["y" * 10_000_000])
    pq.write_table(pa.table({"s": repeated}), folder / "texts.parquet")
    for name in ("pages.parquet", "texts.parquet"):
        assert (folder / name).stat().st_size < 1_000_000
    assert (await data.view(FileInJail("pages.parquet"), ViewRequest("tail", n_rows=1)))["rows"] == [[0.0]]
    result = await data.view(FileInJail("texts.parquet"), ViewRequest("head"))
    assert [len(row[0]) for row in result["rows"] or []] == [10_000_000]


async def test_an_arrow_batch_that_inflates_beyond_the_limit_is_refused(data: DataWorker, folder: Path) -> None:
    values = pa.array(np.zeros(2**28 + 2**20))
    options = pa.ipc.IpcWriteOptions(compression="zstd")
    with pa.ipc.new_file(folder / "x.arrow", pa.schema([("x", pa.float64()), ("y", pa.int8())]), options=options) as to:
        to.write_batch(pa.record_batch([values, pa.array(np.zeros(len(values), np.int8))], ["x", "y"]))
    assert (folder / "x.arrow").stat().st_size < 1_000_000
    arrow = FileInJail("x.arrow")
    with pytest.raises(ResourceLimitError, match=r"x\.arrow needs more memory than the limit of \d+ MiB"):
        await data.view(arrow, ViewRequest("head"))
    assert (await data.view(arrow, ViewRequest("tail", n_rows=1, columns=("y",))))["rows"] == [[0]]


async def test_a_file_replaced_between_two_views_is_read_anew(data: DataWorker, folder: Path) -> None:
    path = folder / "x.parquet"
    for values in ([1, 2, 3], [4]):
        pq.write_table(pa.table({"n": values}), path)
        result = await data.view(FileInJail("x.parquet"), ViewRequest("head"))
        assert result["rows"] == [[value] for value in values]


def test_a_file_that_shrinks_while_it_is_read_is_an_error(open_bytes: OpenFile) -> None:
    file = open_bytes(parquet_bytes(pa.table({"n": np.random.default_rng(0).random(500_000)}), row_group_size=50_000))
    table = ParquetTable(file)
    path = Path(f"/proc/self/fd/{file.descriptor}").resolve()
    parts = table.column_chunks([0])
    next(parts)
    os.truncate(path, 100_000)
    with pytest.raises(WorkspaceError, match=r"x\.csv became shorter while it was read"):
        list(parts)
    with pytest.raises(WorkspaceError, match="became shorter"):
        table.tail(1, [0])


def test_an_encrypted_file_is_named_with_the_reason(open_bytes: OpenFile, tmp_path: Path) -> None:
    class Keys(encryption.KmsClient):  # type: ignore[misc]
        def __init__(self, _config: Any) -> None:
            super().__init__()

        def wrap_key(self, key_bytes: bytes, _identifier: str) -> bytes:
            return key_bytes

    factory = encryption.CryptoFactory(Keys)
    for plaintext_footer in (False, True):
        config = encryption.EncryptionConfiguration(
            footer_key="f", column_keys={"c": ["n"]}, plaintext_footer=plaintext_footer
        )
        properties = factory.file_encryption_properties(encryption.KmsConnectionConfig(), config)
        path = tmp_path / "secret.parquet"
        pq.write_table(pa.table({"n": [1]}), path, encryption_properties=properties)
        with pytest.raises(
            WorkspaceError, match=r"secret\.parquet is encrypted, at least in part: keys are not supported"
        ):
            ParquetTable(open_bytes(path.read_bytes(), "secret.parquet")).rows(0, 1, [0])


@pytest.mark.parametrize(
    ("array", "expected"),
    [
        (pa.array([decimal.Decimal("-1E+2"), decimal.Decimal("9" * 38)], pa.decimal128(38, 0)), ["-100", "9" * 38]),
        (pa.array([decimal.Decimal("0." + "1" * 76)], pa.decimal256(76, 76)), ["0." + "1" * 76]),
        (pa.array([2**64 - 1, 0], pa.uint64()), [str(2**64 - 1), 0]),
        (pa.array([-(2**63), 2**63 - 1]), [str(-(2**63)), str(2**63 - 1)]),
        (pa.array([1, -1], pa.timestamp("ns")), ["1970-01-01T00:00:00.000000001", "1969-12-31T23:59:59.999999999"]),
        (pa.array([0], pa.timestamp("us", "Asia/Kolkata")), ["1970-01-01T00:00:00Z"]),
        (pa.array([1], pa.time64("ns")), ["00:00:00.000000001"]),
        (pa.array([datetime.date(1, 1, 1), None]), ["0001-01-01", None]),
        (pa.array([3], pa.duration("ns")), ["3 ns"]),
        (pa.array([1.5, -0.0, None], pa.float16()), [1.5, -0.0, None]),
        (pa.array([b"", b"\x00"], pa.binary()), ["0x", "0x00"]),
        (
            pa.array([[{"a": [2**60]}], None], pa.list_(pa.struct([("a", pa.list_(pa.int64()))]))),
            [[{"a": [str(2**60)]}], None],
        ),
        (pa.nulls(2), [None, None]),
    ],
)
def test_values_at_the_edges_are_exact(open_bytes: OpenFile, array: pa.Array, expected: list[Any]) -> None:
    table = ParquetTable(open_bytes(parquet_bytes(pa.table({"x": array}))))
    assert [row[0] for row in table.rows(0, 9, [0]).cells] == expected
    (part,) = table.column_chunks([0])
    assert part.arrays[0].to_pylist() == array.to_pylist()


def test_tables_without_rows_or_columns_are_tables(open_bytes: OpenFile) -> None:
    empty = ParquetTable(open_bytes(parquet_bytes(pa.table({"x": pa.array([], pa.int8())}))))
    assert (empty.count_rows(), empty.tail(5, [0]).cells, list(empty.column_chunks([0]))) == (0, [], [])
    stream = io.BytesIO()
    pq.ParquetWriter(stream, pa.schema([("x", pa.int8())])).close()
    assert ParquetTable(open_bytes(stream.getvalue())).rows(0, 5, [0]).cells == []
    nothing = ParquetTable(open_bytes(parquet_bytes(pa.table({}))))
    assert (nothing.columns, nothing.rows(0, 5, []).cells) == ([], [])


async def test_five_thousand_columns_in_many_groups_are_seen_from_both_ends(data: DataWorker, folder: Path) -> None:
    wide = pa.table({f"c{number}": np.arange(2_000) + number for number in range(5_000)})
    pq.write_table(wide, folder / "wide.parquet", row_group_size=1_000)
    source = FileInJail("wide.parquet")
    assert (await data.view(source, ViewRequest("head", n_rows=1)))["rows"] == [list(range(5_000))]
    assert (await data.view(source, ViewRequest("tail", n_rows=1)))["rows"] == [list(range(1_999, 6_999))]
    assert (await data.view(source, ViewRequest("rows", offset=999, n_rows=2, columns=("c4999",))))["rows"] == [
        [5_998],
        [5_999],
    ]


def test_many_groups_are_separate_chunks_and_found_at_once(open_bytes: OpenFile) -> None:
    content = parquet_bytes(pa.table({"n": range(20_000)}), row_group_size=10)
    table = ParquetTable(open_bytes(content))
    assert table.rows(12_345, 2, [0]).cells == [[12_345], [12_346]]
    (last,) = table.column_chunks([0], start=1_999)
    assert (last.number, last.first_row, last.arrays[0].to_pylist()) == (1_999, 19_990, list(range(19_990, 20_000)))


def test_chunks_are_aligned_within_large_groups_and_the_same_from_any_start(open_bytes: OpenFile) -> None:
    rows = 200_000
    table = ParquetTable(
        open_bytes(
            parquet_bytes(pa.table({"n": range(rows), "s": pa.array(map(str, range(rows)))}), row_group_size=150_000)
        )
    )
    parts = list(table.column_chunks([1, 0]))
    assert [(part.first_row, part.num_rows) for part in parts] == [
        (0, 65_536),
        (65_536, 65_536),
        (131_072, 18_928),
        (150_000, 50_000),
    ]
    for part in parts:
        (again, *_) = table.column_chunks([0], start=part.number)
        assert again.arrays[0].equals(part.arrays[1])
        assert again.arrays[0].to_pylist() == list(range(part.first_row, part.first_row + part.num_rows))


def test_chunks_of_long_texts_have_fewer_rows(open_bytes: OpenFile) -> None:
    texts = [f"{number:06}" * 10_000 for number in range(3_000)]
    table = ParquetTable(open_bytes(parquet_bytes(pa.table({"s": texts}), compression="zstd", use_dictionary=False)))
    sizes = [sum(array.nbytes for array in part.arrays) for part in table.column_chunks([0])]
    assert len(sizes) > 2
    assert max(sizes) < 80 * 1024 * 1024


def test_chunks_are_not_prepared_after_the_iterator_is_closed(open_bytes: OpenFile) -> None:
    file = open_bytes(parquet_bytes(pa.table({"n": range(100_000)}), row_group_size=100))
    reported: list[float] = []
    object.__setattr__(file.listener, "report", reported.append)
    parts = ParquetTable(file).column_chunks([0])
    next(parts)
    next(parts)
    parts.close()  # type: ignore[attr-defined]
    assert reported == [pytest.approx(0.001)]
    parts = ParquetTable(file).column_chunks([0])
    next(parts)
    file.listener.cancelled.set()
    with pytest.raises(ViewCancelledError):
        list(parts)


def test_scattered_rows_are_read_in_one_pass_over_each_group(open_bytes: OpenFile) -> None:
    content = parquet_bytes(pa.table({"n": range(1000), "s": list(map(str, range(1000)))}), row_group_size=300)
    table = ParquetTable(open_bytes(content))
    numbers = [999, 0, 301, 300, 0, 599, 5000]
    assert table.rows_at(numbers, [1, 0]).cells == [[str(number), number] for number in numbers[:-1]]
    assert table.rows_at(range(1000), [0]).cells == [[number] for number in range(1000)]
    assert table.rows_at([3, 2], []).cells == [[], []]
