"""Data files through the whole stack (client, socket, daemon, jailed worker), side by side with polars, DuckDB, pandas and wc.

Before each round that measures a first view, the file's modification time is changed, so that nothing remembered from an earlier round
applies. The page cache is warm for all; polars and DuckDB have their default settings, that is, as many threads as there are cores.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb
import pandas
import polars
import psutil
import pyarrow
import pyarrow.csv

from analystd.cli.demo import write_bars
from analystd.client import Client, connect
from analystd.wire.names import ViewOperation

PAGE = 100
LARGE_BYTES = 6_000_000_000
SLOW_ROUNDS = 3
"""Maximum number of rounds for operations that take seconds."""

Work = Callable[[], Any]
Ours = Callable[[], Awaitable[Any]]


@dataclass(frozen=True)
class Bars:
    """A file of one-minute bars."""

    path: Path
    rows: int
    first_line: str = "timestamp,open,high,low,close,volume"

    @property
    def names(self) -> list[str]:
        return self.first_line.split(",")

    def touch(self) -> None:
        """Make the file another version with the same content."""
        os.utime(self.path)

    def __str__(self) -> str:
        return f"{self.path.name}: {self.rows:,} rows, {self.path.stat().st_size / 1e6:,.0f} MB"


@dataclass(frozen=True)
class Peer:
    """Another program's way to the same answer, which is compared with ours."""

    name: str
    work: Work
    rounds: int = sys.maxsize
    """Maximum number of rounds."""


@dataclass
class Times:
    name: str
    seconds: list[float] = field(default_factory=list)
    answer: Any = None

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--folder", type=Path, help="where the files are written and found again (default: a temporary one)"
    )
    parser.add_argument(
        "--bars", type=int, default=10_000_000, help="rows of the file that peers read too (%(default)s)"
    )
    parser.add_argument(
        "--large", action="store_true", help="also a file of 6 GB or more, of the same rows again and again"
    )
    parser.add_argument("--rounds", type=int, default=7, help="how often each thing is measured (%(default)s)")
    parser.add_argument("--only", default="", metavar="WORD", help="only the measurements whose name has this word")
    return parser.parse_args()


async def main() -> None:
    asked = arguments()
    with contextlib.ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        folder = (asked.folder or home / "workspace").resolve()
        folder.mkdir(parents=True, exist_ok=True)
        os.environ |= {
            "XDG_STATE_HOME": f"{home}/state",
            "XDG_CONFIG_HOME": f"{home}/config",
            "AGENT_MODEL_PATH": f"{home}/m.jsonl",
            "AGENT_WORKSPACE_MAX_GB": "1000",
        }
        (home / "m.jsonl").write_text("")
        bars = csv_of_bars(folder, asked.bars)
        sizes = [csv_of_bars(folder, asked.bars // 10), bars, *([repeated(bars)] if asked.large else [])]
        async with desk(folder) as client:
            tell_of_the_run(client.about["sandbox"]["level"], asked.rounds)
            bench = Bench(client, asked.rounds, asked.only)
            await bench.csv(bars)
            await bench.parquet(parquet_of(bars), asked.bars)
            await bench.flat(sizes)
        if asked.only in "memory":
            for each in sizes[1:]:
                await memory(folder, each)


@asynccontextmanager
async def desk(folder: Path) -> AsyncIterator[Client]:
    """Start a daemon for this block alone and yield its client."""
    async with await connect(folder) as client:
        daemon = psutil.Process((await client.status())["pid"])
        try:
            yield client
        finally:
            await client.shutdown(now=True)
    await asyncio.to_thread(daemon.wait, 30)


def tell_of_the_run(level: str, rounds: int) -> None:
    wc = subprocess.run(["wc", "--version"], capture_output=True, text=True, check=True).stdout.splitlines()[0]
    print(
        f"sandbox level {level}; {len(os.sched_getaffinity(0))} cores, load {os.getloadavg()[0]:.1f}; "
        f"medians of {rounds} rounds after one that does not count\n"
        f"(of at most {SLOW_ROUNDS} where [3], of one where [1]); (…): ours as a part of the peer's time\n"
        f"polars {polars.__version__}, DuckDB {duckdb.__version__}, pandas {pandas.__version__}, pyarrow {pyarrow.__version__}, {wc}"
    )


class Bench:
    """The measurements that have peers."""

    def __init__(self, client: Client, rounds: int, only: str) -> None:
        self._client = client
        self._rounds = rounds
        self._only = only

    async def csv(self, bars: Bars) -> None:
        name, path = bars.path.name, str(bars.path)
        title(str(bars))
        warm(bars.path)
        last_rows = bars.rows * 9 // 10
        whole_time = polars.scan_csv(path).tail(50).head(1).collect().item(0, "timestamp")
        await self.compare("shape, first time", self.shape(name), shape_peers(path), before=bars.touch)
        await self.compare("shape, again", self.shape(name), [])
        await self.compare("head, 10 rows", self.first_time(name, "head"), head_peers(path))
        await self.compare(
            "tail, 10 rows, first time", self.first_time(name, "tail"), tail_peers(path, bars), before=bars.touch
        )
        await self._client.view_data(name, "shape")
        await self.compare("tail, 10 rows, again", self.first_time(name, "tail"), tail_peers(path, bars, slow=False))
        window = self.first_time(name, "rows", offset=last_rows, n_rows=PAGE)
        await self.compare(f"{PAGE} rows at {last_rows:,}", window, window_peers(path, bars, last_rows))
        conditions: list[tuple[str, str, str, Any]] = [
            ("many rows meet it", "volume", ">", 12),
            ("few rows meet it", "volume", ">", 150),
            ("50 rows meet it, the last", "timestamp", ">=", whole_time),
        ]
        for what, column, op, value in conditions:
            page = self.first_time(
                name, "rows", offset=0, n_rows=PAGE, filter=[{"column": column, "op": op, "value": value}]
            )
            await self.compare(f"filter: {what}", page, filter_peers(path, column, op, value), before=bars.touch)
        for what, column, descending in (
            ("numbers, falling", "close", True),
            ("timestamps, rising", "timestamp", False),
        ):
            key = [{"column": column, "descending": descending}]
            page = self.first_cell(name, column, "rows", offset=0, n_rows=PAGE, sort=key)
            await self.compare(f"sort: {what}", page, sort_peers(path, column, descending), before=bars.touch)
        for what, ours, peers in (
            ("describe, all columns", self.described_mean(name), describe_peers(path, bars)),
            ("profile, all columns", self.profiled_mean(name), profile_peers(path)),
        ):
            await self.compare(what, ours, peers, before=bars.touch, rounds=SLOW_ROUNDS)

    async def parquet(self, path: Path, rows: int) -> None:
        title(f"{path.name}: {rows:,} rows, {path.stat().st_size / 1e6:,.0f} MB")
        warm(path)
        name, at, lazy = path.name, rows * 9 // 10, polars.scan_parquet(path)
        touch = Bars(path, rows).touch
        await self.compare(
            "Parquet: shape, first time",
            self.shape(name),
            [
                Peer("polars", lambda: lazy.select(polars.len()).collect().item()),
                Peer("DuckDB", lambda: sql(f"select count(*) from '{path}'")[0][0]),
            ],
            before=touch,
        )
        await self.compare(
            "Parquet: head, 10 rows",
            self.first_time(name, "head"),
            [
                Peer("polars", lambda: stamp(lazy.head(10).collect().rows())),
                Peer("DuckDB", lambda: stamp(sql(f"from '{path}' limit 10"))),
            ],
        )
        await self.compare(
            f"Parquet: {PAGE} rows at {at:,}",
            self.first_time(name, "rows", offset=at, n_rows=PAGE),
            [
                Peer("polars", lambda: stamp(lazy.slice(at, PAGE).collect().rows())),
                Peer("DuckDB", lambda: stamp(sql(f"from '{path}' limit {PAGE} offset {at}"))),
            ],
        )

    async def flat(self, sizes: Sequence[Bars]) -> None:
        """Measure operations whose cost should not depend on the size."""
        title("the size does not matter")
        for bars in sizes:
            warm(bars.path)
            name = bars.path.name
            await self._client.view_data(name, "shape")
            at = bars.rows * 9 // 10
            for what, ours in (
                ("head", self.first_time(name, "head")),
                ("tail", self.first_time(name, "tail")),
                (f"{PAGE} rows at {at:,}", self.first_time(name, "rows", offset=at, n_rows=PAGE)),
                ("shape, again", self.shape(name)),
            ):
                await self.compare(f"flat: {bars.rows:,} rows: {what}", ours, [])

    async def compare(
        self, what: str, ours: Ours, peers: Sequence[Peer], *, before: Work | None = None, rounds: int | None = None
    ) -> None:
        """Measure in turns, after a round that does not count unless `rounds` are given; print medians and differing answers."""
        if self._only not in what:
            return
        own, theirs = Times("ours"), [Times(peer.name) for peer in peers]
        most = min(self._rounds, rounds or self._rounds)
        for number in range(-1 if rounds is None else 0, most):
            if before is not None:
                before()
            started = time.perf_counter()
            own.answer = await ours()
            own.seconds.append(time.perf_counter() - started)
            for peer, times in zip(peers, theirs, strict=True):
                if max(number, 0) < peer.rounds and (number >= 0 or peer.rounds > SLOW_ROUNDS):
                    started = time.perf_counter()
                    times.answer = peer.work()
                    times.seconds.append(time.perf_counter() - started)
            if number < 0:
                for times in (own, *theirs):
                    times.seconds.clear()
        print(told(what, own, theirs), flush=True)

    def shape(self, name: str) -> Ours:
        async def ours() -> Any:
            return (await self._client.view_data(name, "shape"))["num_rows"]

        return ours

    def first_time(self, name: str, operation: ViewOperation, **options: Any) -> Ours:
        """Return a call for a view, which returns the timestamp of its first row."""
        return self.first_cell(name, "timestamp", operation, **options)

    def first_cell(self, name: str, column: str, operation: ViewOperation, **options: Any) -> Ours:
        async def ours() -> Any:
            view = await self._client.view_data(name, operation, **options)
            at = [each["name"] for each in view["columns"] or []].index(column)
            return plain((view["rows"] or [])[0][at])

        return ours

    def described_mean(self, name: str) -> Ours:
        """Return a call for a description of all columns, which returns the mean of `close`."""

        async def ours() -> Any:
            view = await self._client.view_data(name, "describe")
            at = [each["name"] for each in view["columns"] or []].index("mean")
            return next(mean_of(row[at]) for row in view["rows"] or [] if row[0] == "close")

        return ours

    def profiled_mean(self, name: str) -> Ours:
        """Return a call for a profile of all columns, which returns the mean of `close`."""

        async def ours() -> Any:
            view: Mapping[str, Any] = await self._client.view_data(name, "profile")
            return next(mean_of(each["mean"]) for each in view["profiles"] if each["column"] == "close")

        return ours


def shape_peers(path: str) -> list[Peer]:
    def by_pyarrow() -> int:
        options = pyarrow.csv.ConvertOptions(include_columns=["timestamp"])
        with pyarrow.csv.open_csv(path, convert_options=options) as reader:
            return sum(batch.num_rows for batch in reader)

    return [
        Peer("polars", lambda: polars.scan_csv(path).select(polars.len()).collect().item()),
        Peer(
            "wc -l",
            lambda: int(subprocess.run(["wc", "-l", path], capture_output=True, check=True).stdout.split()[0]) - 1,
        ),
        Peer("DuckDB", lambda: sql(f"select count(*) from '{path}'")[0][0]),
        Peer("pyarrow", by_pyarrow, SLOW_ROUNDS),
        Peer("pandas", lambda: len(pandas.read_csv(path, usecols=["timestamp"])), 1),
    ]


def head_peers(path: str) -> list[Peer]:
    return [
        Peer("polars", lambda: stamp(polars.scan_csv(path).head(10).collect().rows())),
        Peer("DuckDB", lambda: stamp(sql(f"from '{path}' limit 10"))),
        Peer("pandas", lambda: pandas.read_csv(path, nrows=10)["timestamp"].iloc[0]),
    ]


def tail_peers(path: str, bars: Bars, *, slow: bool = True) -> list[Peer]:
    quick = [
        Peer("polars", lambda: stamp(polars.scan_csv(path).tail(10).collect().rows())),
        Peer("DuckDB", lambda: stamp(sql(f"from '{path}' limit 10 offset {bars.rows - 10}")), SLOW_ROUNDS),
    ]
    return [*quick, Peer("pandas", lambda: pandas.read_csv(path).tail(10)["timestamp"].iloc[0], 1)] if slow else quick


def window_peers(path: str, bars: Bars, offset: int) -> list[Peer]:
    def by_pandas() -> Any:
        return pandas.read_csv(path, skiprows=offset + 1, nrows=PAGE, names=bars.names)["timestamp"].iloc[0]

    return [
        Peer("polars", lambda: stamp(polars.scan_csv(path).slice(offset, PAGE).collect().rows())),
        Peer("DuckDB", lambda: stamp(sql(f"from '{path}' limit {PAGE} offset {offset}")), SLOW_ROUNDS),
        Peer("pandas", by_pandas, SLOW_ROUNDS),
    ]


def filter_peers(path: str, column: str, op: str, value: Any) -> list[Peer]:
    literal = f"'{value}'" if isinstance(value, str) else value

    def by_polars() -> Any:
        cells = polars.col(column)
        kept = cells > value if op == ">" else cells >= value
        return stamp(polars.scan_csv(path).filter(kept).head(PAGE).collect().rows())

    return [
        Peer("DuckDB", lambda: stamp(sql(f"from '{path}' where {column} {op} {literal} limit {PAGE}"))),
        Peer("polars", by_polars),
    ]


def sort_peers(path: str, column: str, descending: bool) -> list[Peer]:
    order = f"{column} {'desc' if descending else 'asc'}"
    return [
        Peer("DuckDB", lambda: plain(sql(f"select {column} from (from '{path}' order by {order} limit {PAGE})")[0][0])),
        Peer(
            "polars",
            lambda: plain(
                polars.scan_csv(path).sort(column, descending=descending).head(PAGE).collect().item(0, column)
            ),
            SLOW_ROUNDS,
        ),
    ]


def describe_peers(path: str, bars: Bars) -> list[Peer]:
    """Return peers that compute the count, minimum and maximum of each column and the mean of numbers, as a description does."""
    asked = [f"count({name}), min({name}), max({name})" for name in bars.names]
    query = f"select avg(close), {', '.join(asked + [f'avg({name})' for name in bars.names[1:]])} from '{path}'"

    def by_polars() -> float:
        every, numbers = polars.all(), polars.exclude("timestamp")
        parts = [numbers.mean().name.suffix("_mean"), every.count().name.suffix("_count")]
        parts += [every.min().name.suffix("_min"), every.max().name.suffix("_max")]
        return mean_of(polars.scan_csv(path).select(parts).collect().item(0, "close_mean"))

    return [Peer("DuckDB", lambda: mean_of(sql(query)[0][0])), Peer("polars", by_polars)]


def profile_peers(path: str) -> list[Peer]:
    """Return the peers' own summaries, which have quantiles where ours have histograms and the most frequent values."""

    def by_duckdb() -> float:
        rows = sql(f"select column_name, avg from (summarize from '{path}')")
        return next(mean_of(mean) for name, mean in rows if name == "close")

    return [
        Peer("DuckDB summarize", by_duckdb),
        Peer(
            "polars describe",
            lambda: mean_of(polars.scan_csv(path).describe().filter(statistic="mean").item(0, "close")),
        ),
    ]


def mean_of(value: Any) -> float:
    """Return a mean rounded for comparison, since sums are rounded in different orders."""
    return round(float(value), 3)


def sql(query: str) -> list[Any]:
    """Return the result of a query by DuckDB, over its default connection."""
    rows: list[Any] = duckdb.execute(query).fetchall()
    return rows


def stamp(rows: Sequence[Sequence[Any]]) -> str:
    """Return the first row's timestamp."""
    return str(rows[0][0])


def plain(cell: Any) -> Any:
    """Return a cell in a form that compares across programs: numbers unchanged, timestamps with a space, all else as text."""
    try:
        return float(cell)
    except (TypeError, ValueError):
        return str(cell).replace("T", " ")


async def memory(folder: Path, bars: Bars) -> None:
    """Measure the additional memory of a fresh data worker after head, tail, shape and rows, and its peak."""
    name = bars.path.name
    warm(bars.path)
    async with desk(folder) as client:
        await client.list_files(".", pattern="nothing")
        worker = data_worker((await client.status())["pid"])
        idle = worker.memory_info().rss
        asked: list[tuple[ViewOperation, dict[str, Any]]] = [("head", {}), ("tail", {}), ("shape", {})]
        asked.append(("rows", {"offset": bars.rows * 9 // 10}))
        for operation, options in asked:
            await client.view_data(name, operation, **{"n_rows": PAGE, **options})
        after, peak = worker.memory_info().rss, peak_memory(worker)
    print(
        f"memory of the data worker (resident, of /proc), {bars.rows:,} rows: idle {idle / 1e6:.1f} MB; "
        f"after head, tail, shape, rows {(after - idle) / 1e6:+.1f} MB; at most {(peak - idle) / 1e6:+.1f} MB",
        flush=True,
    )


def data_worker(daemon: int) -> psutil.Process:
    """Return the process that reads the files: the innermost of those that the daemon started for it."""
    family = psutil.Process(daemon).children(recursive=True)
    named = [each for each in family if "analystd.data.worker" in each.cmdline()]
    return next(each for each in named if not set(each.children()) & set(named))


def peak_memory(process: psutil.Process) -> int:
    lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))


def csv_of_bars(folder: Path, rows: int) -> Bars:
    path = folder / f"bars-{rows}.csv"
    if not path.exists():
        write_bars(path, rows)
    return Bars(path, rows)


def repeated(bars: Bars) -> Bars:
    """Return a file with the same rows repeated until it has 6 GB."""
    times = -(-LARGE_BYTES // bars.path.stat().st_size)
    path = bars.path.with_name(f"bars-{bars.rows * times}.csv")
    if not path.exists():
        draft = path.with_suffix(".draft")
        with bars.path.open("rb") as source, draft.open("wb") as target:
            target.write(source.readline())
            body = source.tell()
            for _ in range(times):
                source.seek(body)
                while part := source.read(1 << 20):
                    target.write(part)
        draft.replace(path)
    return Bars(path, bars.rows * times)


def parquet_of(bars: Bars) -> Path:
    path = bars.path.with_suffix(".parquet")
    if not path.exists():
        polars.scan_csv(bars.path, try_parse_dates=True).sink_parquet(path)
    return path


def warm(path: Path) -> None:
    """Load the file into the page cache."""
    with path.open("rb", buffering=0) as file:
        buffer = bytearray(1 << 20)
        while file.readinto(buffer):
            pass


def title(text: str) -> None:
    print(f"\n{text}", flush=True)


def told(what: str, own: Times, theirs: Sequence[Times]) -> str:
    parts = [f"{what:<42} {milliseconds(own.median):>9} ms{rounds_told(own)}"]
    for each in theirs:
        parts.append(f"{each.name} {milliseconds(each.median)}{rounds_told(each)} ({own.median / each.median:.2f})")
    return "   ".join(parts) + "".join(differences(own, theirs))


def milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:.{2 if seconds < 0.1 else 0}f}"


def rounds_told(times: Times) -> str:
    return f" [{len(times.seconds)}]" if len(times.seconds) <= SLOW_ROUNDS else ""


def differences(own: Times, theirs: Sequence[Times]) -> Iterator[str]:
    for each in theirs:
        if each.answer != own.answer:
            yield f"\n    ANOTHER ANSWER: ours {own.answer!r}, {each.name} {each.answer!r}"


asyncio.run(main())
