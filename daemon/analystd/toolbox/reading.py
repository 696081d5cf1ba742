"""Reading of table files in the usual formats, with numbers and dates where the whole column consists of them."""

from __future__ import annotations

import csv
import gzip
import io
import itertools
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pandas as pd

from .cleaning import MISSING_MARKS, dates, numbers

_DELIMITERS = ",;\t|"
_SAMPLE_ROWS = 200
_PARQUET = {".parquet", ".pq"}
_ARROW = {".feather", ".arrow", ".ipc"}
_EXCEL = {".xlsx", ".xlsm", ".xls", ".ods"}
_JSON_LINES = {".jsonl", ".ndjson", ".jl"}
_BOOLEAN = {"true": True, "false": False, "yes": True, "no": False, "ja": True, "nein": False}
_LOOKS_LIKE_DATE = re.compile(r"\d{4}-\d{1,2}-\d{1,2}(?:[T ].*)?|\d{1,2}[./-]\d{1,2}[./-]\d{2,4}(?: .*)?")
_INTEGER = re.compile(r"0|-?[1-9]\d{0,17}")
_CODE = re.compile(r"[+-]?0\d")


def read(path: str | Path, *, decimal: str | None = None, dayfirst: bool | None = None, **options: Any) -> pd.DataFrame:
    """Return the table in a file, whose format is detected from its name and content.

    The formats are CSV and other delimited text (also gzipped), JSON Lines and JSON, Parquet, Arrow and Feather, and Excel (if its reader
    is installed). For text, the encoding (UTF-8, UTF-16 with a byte order mark, else Windows-1252), the delimiter and each column's type
    are detected. A column becomes numbers, booleans or timestamps only if every cell that is not missing is one; codes with leading zeros
    stay text, and so do ambiguous columns, which are printed.

    Args:
        path: The file.
        decimal: The decimal sign of all columns of text, if known.
        dayfirst: Whether days come before months, if known.
        options: Passed on to the pandas function that reads such a file.

    Raises:
        FileNotFoundError: When the file does not exist.
        ValueError: When the file cannot be read as a table.
    """
    file = Path(path)
    suffix = Path(file.stem).suffix.lower() if file.suffix.lower() == ".gz" else file.suffix.lower()
    if suffix in _PARQUET or file.is_dir():
        frame: pd.DataFrame = pd.read_parquet(file, **options)
    elif suffix in _ARROW:
        frame = pd.read_feather(file, **options)
    elif suffix in _EXCEL:
        frame = pd.read_excel(file, **options)
    elif suffix in _JSON_LINES or suffix == ".json":
        frame = pd.read_json(file, lines=suffix != ".json", **{"dtype": False, **options})
    else:
        frame = _read_text(file, decimal, dayfirst, options)
    return frame


def _read_text(file: Path, decimal: str | None, dayfirst: bool | None, options: dict[str, Any]) -> pd.DataFrame:
    text = _decoded(gzip.decompress(file.read_bytes()) if file.suffix.lower() == ".gz" else file.read_bytes())
    if mark := re.match(r'"?sep=([^"\r\n])"?\r?\n', text):
        options = {"sep": mark[1], **options}
        text = text[mark.end() :]
    chosen = {"sep": _delimiter(text), "dtype": str, "keep_default_na": False, "skipinitialspace": True, **options}
    frame: pd.DataFrame = pd.read_csv(io.StringIO(text), **chosen)
    remarks: list[str] = []
    for column in frame.columns:
        if frame[column].dtype == object or pd.api.types.is_string_dtype(frame[column]):
            frame[column] = _typed(frame[column], decimal, dayfirst, remarks)
    for remark in remarks:
        print(remark)
    return frame


def _decoded(content: bytes) -> str:
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        return content.decode("utf-16")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("cp1252", "replace")


def _delimiter(text: str) -> str:
    """Return the delimiter with which the first rows have the same, largest number of cells."""

    def fit(delimiter: str) -> tuple[float, int]:
        rows = list(filter(None, itertools.islice(csv.reader(io.StringIO(text), delimiter=delimiter), _SAMPLE_ROWS)))
        widths = Counter(map(len, rows))
        if not widths:
            return 0.0, 0
        width, count = widths.most_common(1)[0]
        return (count / len(rows) if width > 1 else 0.0), width

    return max(_DELIMITERS, key=fit)


def _typed(cells: pd.Series, decimal: str | None, dayfirst: bool | None, remarks: list[str]) -> pd.Series:
    """Return the column with the type of all its cells, else as text with missing values for empty cells."""
    stripped = cells.astype("string").str.strip()
    known = stripped[~stripped.str.casefold().isin(MISSING_MARKS)]
    if known.empty:
        return cells.where(cells != "")
    words = known.str.casefold()
    if words.isin(list(_BOOLEAN)).all():
        return stripped.str.casefold().map(_BOOLEAN).astype("boolean")
    if len(known) == len(cells) and known.str.fullmatch(_INTEGER).all():
        # Floating-point numbers would round long ids.
        return stripped.astype("int64")
    if not known.str.match(_CODE.pattern + r"(?!\d*[.,]?\d*%)").any():
        try:
            return numbers(cells, decimal=decimal)  # type: ignore[arg-type]
        except ValueError as exc:
            if "decimal=" in str(exc):
                remarks.append(f"Column {cells.name!r} stays text. {exc}")
    if known.str.fullmatch(_LOOKS_LIKE_DATE).all():
        try:
            return dates(cells, dayfirst=dayfirst)
        except ValueError as exc:
            remarks.append(f"Column {cells.name!r} stays text. {exc}")
    return cells.where(cells != "")
