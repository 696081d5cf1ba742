"""Replace old names of pandas and numpy: frequencies, methods, arguments, the type of text.

Each entry is from the release notes of the library (pandas 2.0 to 3.0, numpy 1.24 to 2.0) and has the same meaning.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from analystd.agent.rewriting.edits import Edit, Source, called_name, constant, keyword, with_arguments

_FREQUENCIES = {
    "T": "min",
    "H": "h",
    "S": "s",
    "L": "ms",
    "U": "us",
    "N": "ns",
    "M": "ME",
    "Q": "QE",
    "A": "YE",
    "Y": "YE",
    "BM": "BME",
    "BQ": "BQE",
}
"""Periods keep the old names."""
_TAKE_FREQUENCIES = frozenset(
    {"asfreq", "bdate_range", "ceil", "date_range", "floor", "Grouper", "ohlcv", "resample", "timedelta_range"}
)
_FREQUENCY = re.compile(r"(\d*)([A-Z]{1,2})")

_NUMPY = {
    "NaN": "nan",
    "NAN": "nan",
    "Inf": "inf",
    "Infinity": "inf",
    "float_": "float64",
    "in1d": "isin",
    "product": "prod",
    "cumproduct": "cumprod",
    "trapz": "trapezoid",
    "alltrue": "all",
    "sometrue": "any",
}
_NOT_IN_PANDAS = frozenset(
    {"abs", "arange", "ceil", "exp", "floor", "log", "log10", "log1p", "log2", "max", "mean", "median", "min", "nan", "round", "sqrt", "std",
     "sum", "where"}
)  # fmt: skip
"""Functions of numpy that models sometimes write as functions of pandas."""
_PYTHON_TYPES = frozenset({"float", "int", "object", "str"})
"""Numpy had these under its own name too."""
_METHODS = {"applymap": "map", "iteritems": "items"}
_FILLS = {"ffill": "ffill", "pad": "ffill", "bfill": "bfill", "backfill": "bfill"}
_NO_LONGER_NEEDED = {
    "to_datetime": ("infer_datetime_format",),
    "read_csv": ("infer_datetime_format", "squeeze"),
    "describe": ("datetime_is_numeric",),
}
_RENAMED_ARGUMENTS = {
    ("to_csv", "line_terminator"): "lineterminator",
    ("OneHotEncoder", "sparse"): "sparse_output",
    ("date_range", "closed"): "inclusive",
}
_SAME_ARGUMENTS = {
    ("read_csv", "delim_whitespace", True): r"sep=r'\s+'",
    ("read_csv", "error_bad_lines", False): "on_bad_lines='skip'",
    ("between", "inclusive", True): "inclusive='both'",
    ("between", "inclusive", False): "inclusive='neither'",
}


def find_old_names(source: Source) -> Iterator[Edit]:
    """Find old names."""
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Call):
            yield from _call(source, node)
        elif isinstance(node, ast.Attribute):
            yield from _attribute(source, node)
        elif isinstance(node, ast.Subscript):
            yield from _columns_of_groups(source, node)
        elif isinstance(node, ast.Compare):
            yield from _comparison(source, node)


def _call(source: Source, call: ast.Call) -> Iterator[Edit]:
    name = called_name(call)
    unneeded = [each.arg for each in call.keywords if each.arg in _NO_LONGER_NEEDED.get(name, ())]
    if unneeded:
        yield Edit(call, with_arguments(source, call, source.text(call.func), unneeded))
    if name in _TAKE_FREQUENCIES:
        yield from _frequencies(source, call)
    yield from _arguments(source, call, name)
    if isinstance(call.func, ast.Attribute) and not call.args:
        if name == "fillna":
            yield from _fill(source, call, call.func)
        elif name == "corr":
            yield from _table_correlation(source, call)


def _arguments(source: Source, call: ast.Call, name: str) -> Iterator[Edit]:
    for argument in call.keywords:
        key = (name, argument.arg or "")
        value = constant(argument.value)
        if key in _RENAMED_ARGUMENTS:
            yield Edit(argument, f"{_RENAMED_ARGUMENTS[key]}={source.text(argument.value)}")
        elif isinstance(value, bool) and (*key, value) in _SAME_ARGUMENTS:
            yield Edit(argument, _SAME_ARGUMENTS[*key, value])


def _table_correlation(source: Source, call: ast.Call) -> Iterator[Edit]:
    """Add `numeric_only=True`: without another series it is the correlation of a table, which used to ignore text by itself."""
    if not {"other", "numeric_only", None}.intersection(each.arg for each in call.keywords):
        yield Edit(call, with_arguments(source, call, source.text(call.func), (), "numeric_only=True"))


def _frequencies(source: Source, call: ast.Call) -> Iterator[Edit]:
    given = [*call.args, *(each.value for each in call.keywords if each.arg in ("freq", "rule"))]
    for node in given:
        value = constant(node)
        found = _FREQUENCY.fullmatch(value) if isinstance(value, str) else None
        if found and found[2] in _FREQUENCIES and (literal := source.text(node)).count(found[0]) == 1:
            yield Edit(node, literal.replace(found[0], f"{found[1]}{_FREQUENCIES[found[2]]}"))


def _fill(source: Source, call: ast.Call, function: ast.Attribute) -> Iterator[Edit]:
    """Replace `fillna(method="ffill")` by `ffill()`."""
    how = constant(keyword(call, "method"))
    if how in _FILLS and keyword(call, "value") is None:
        today = f"{source.text(function.value)}.{_FILLS[str(how)]}"
        yield Edit(call, with_arguments(source, call, today, ("method",)))


def _attribute(source: Source, node: ast.Attribute) -> Iterator[Edit]:
    owner = node.value
    if isinstance(owner, ast.Name) and owner.id in ("np", "numpy"):
        if node.attr in _NUMPY:
            yield Edit(node, f"{owner.id}.{_NUMPY[node.attr]}")
        elif node.attr in _PYTHON_TYPES:
            yield Edit(node, node.attr)
    elif isinstance(owner, ast.Name) and owner.id == "pd" and node.attr in _NOT_IN_PANDAS:
        yield Edit(node, f"np.{node.attr}")
    elif node.attr in _METHODS:
        yield Edit(node, f"{source.text(owner)}.{_METHODS[node.attr]}")
    elif node.attr in ("week", "weekofyear") and isinstance(owner, ast.Attribute) and owner.attr == "dt":
        yield Edit(node, f"{source.text(owner)}.isocalendar().week")


def _columns_of_groups(source: Source, node: ast.Subscript) -> Iterator[Edit]:
    """Replace `df.groupby('a')['b', 'c']` by `df.groupby('a')[['b', 'c']]`."""
    names = node.slice
    if (
        isinstance(node.value, ast.Call)
        and called_name(node.value) == "groupby"
        and isinstance(names, ast.Tuple)
        and all(isinstance(constant(each), str) for each in names.elts)
    ):
        yield Edit(names, f"[{', '.join(map(source.text, names.elts))}]")


def _comparison(source: Source, node: ast.Compare) -> Iterator[Edit]:
    """Compare with both types of text: today it is `str`, formerly it was `object`."""
    if len(node.ops) != 1 or not isinstance(node.ops[0], (ast.Eq, ast.NotEq)):
        return
    left, right = node.left, node.comparators[0]
    is_object = constant(right) in ("object", "O") or (isinstance(right, ast.Name) and right.id == "object")
    if is_object and isinstance(left, ast.Attribute) and left.attr in ("dtype", "dtypes"):
        of, sign, joint = source.text(left), *(("==", "|") if isinstance(node.ops[0], ast.Eq) else ("!=", "&"))
        yield Edit(node, f"(({of} {sign} np.dtype('O')) {joint} ({of} {sign} 'str'))")
