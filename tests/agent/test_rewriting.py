"""Corrections of programs before they run, checked against the libraries themselves."""

from __future__ import annotations

import ast
import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest

from analystd.agent.rewriting import KnownTables, old_names, put_right
from analystd.agent.rewriting.edits import Edit, Source


@pytest.mark.parametrize(
    ("code", "before"),
    [
        ("print(pd.read_csv('a.csv')['x'].mean())", ["import pandas as pd"]),
        ("print(np.mean(pd.Series([1])))", ["import numpy as np", "import pandas as pd"]),
        ("print(toolbox.read('a.csv').shape)", ["import toolbox"]),
        ("import pandas as pd\nprint(pd.NA)", []),
        ("from matplotlib import pyplot as plt\nplt.plot([1])", []),
        ("import toolbox\ntoolbox.read('a')", []),
        ("pd = 5\nprint(pd)", []),
        ("def f(np): return np\nf(1)", []),
        ("print(stats.mean())", []),
        ("print(1)", []),
        ("print(pd.", []),
        ("(" * 5000, []),
    ],
)
def test_forgotten_imports_of_usual_names_come_first(code: str, before: list[str]) -> None:
    assert put_right(code) == "\n".join([*before, code])


@pytest.mark.parametrize(
    ("code", "today"),
    [
        ("df.resample('M').sum()", "df.resample('ME').sum()"),
        ('df.resample("15T").last()', 'df.resample("15min").last()'),
        ("f(x, periods=3, freq='T')", "f(x, periods=3, freq='T')"),
        ("ä = 1; df.resample(rule='H'); x.floor('D')", "ä = 1; df.resample(rule='h'); x.floor('D')"),
        ("a.resample('Q').b.asfreq('A')", "a.resample('QE').b.asfreq('YE')"),
        ("df['d'].dt.to_period('M')", "df['d'].dt.to_period('M')"),
        ("df.groupby('M').sum()", "df.groupby('M').sum()"),
        ("df.resample(", "df.resample("),
        ("print('M')", "print('M')"),
        ("df['a'].map(f).applymap(g)", "df['a'].map(f).map(g)"),
        ("df.fillna(method='ffill', limit=2)", "df.ffill(limit=2)"),
        ("df['d'].dt.weekofyear + 1", "df['d'].dt.isocalendar().week + 1"),
        ("df[['a', 'b']].corr(method='spearman')", "df[['a', 'b']].corr(method='spearman', numeric_only=True)"),
        ("df['a'].corr(df['b'])", "df['a'].corr(df['b'])"),
        (
            "import numpy as np\npd.sqrt(2); pd.concat([])",
            "import pandas as pd\nimport numpy as np\nnp.sqrt(2); pd.concat([])",
        ),
        ("df['a'].corr(other=df['b'])", "df['a'].corr(other=df['b'])"),
        ("df['a'].fillna(0, inplace=True)", "df['a'] = df['a'].fillna(0)"),
        ("df.fillna(0, inplace=True)", "df.fillna(0, inplace=True)"),
        ("df['a'].fillna(method='bfill', inplace=True)", "df['a'] = df['a'].bfill()"),
        ("df['a'].dropna(inplace=True)", "df['a'].dropna(inplace=True)"),
        ("df['a'][df['b'] > 2] = df['c'].applymap(f)", "df.loc[df['b'] > 2, 'a'] = df['c'].map(f)"),
        ("df[df.b.isna() & (df.c > 1)]['a'] = 0", "df.loc[df.b.isna() & (df.c > 1), 'a'] = 0"),
        ("df[df['a'] > 1 & df['b'] < 2]", "df[(df['a'] > 1) & (df['b'] < 2)]"),
        (
            "df[df['a'] == 'x' | df['b'] == 'y' | df['c'] >= 3]",
            "df[(df['a'] == 'x') | (df['b'] == 'y') | (df['c'] >= 3)]",
        ),
        ("df[df['a'] > 1 & mask]", "df[(df['a'] > 1) & mask]"),
        ("df[(df['a'] > 1) & (df['b'] < 2)]", "df[(df['a'] > 1) & (df['b'] < 2)]"),
        ("df['a'] > (1 & 3)", "df['a'] > (1 & 3)"),
        ("1 < flags & 3 < 5", "1 < flags & 3 < 5"),
        ("import polars as pl\nprint(df.corr())", "import polars as pl\nprint(df.corr())"),
        ("counts['a']['b'] = 1; rows['a'][i + 1] = 2", "counts['a']['b'] = 1; rows['a'][i + 1] = 2"),
        (
            "# größer\nx = [\n    'a', df['b'][df['b'] > 2]\n]  # as is",
            "# größer\nx = [\n    'a', df['b'][df['b'] > 2]\n]  # as is",
        ),
    ],
)
def test_old_names_and_lost_writes_are_put_right_and_all_else_is_left(code: str, today: str) -> None:
    assert put_right(code) == today


FRAME = {
    "n": [1.0, None, 3.0, 40.0],
    "m": [2, 3, 4, 5],
    "s": ["x", "y", "x", None],
    "d": pd.to_datetime(["2024-01-01", "2024-01-02", "2024-02-03", "2024-03-01"]),
}


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("out = df[['n', 'm']].applymap(lambda x: x * 2)['m'].tolist()", [4, 6, 8, 10]),
        ("out = [name for name, _ in df.iteritems()]", ["n", "m", "s", "d"]),
        ("out = df.fillna(method='ffill')['n'].tolist()", [1, 1, 3, 40]),
        ("df['n'].fillna(method='bfill', inplace=True)\nout = df['n'].tolist()", [1, 3, 3, 40]),
        ("df['n'].fillna(df['n'].median(), inplace=True)\nout = df['n'].tolist()", [1, 3, 3, 40]),
        ("df['s'].replace({'x': 'z'}, inplace=True)\nout = df['s'].tolist()[:3]", ["z", "y", "z"]),
        ("df['m'][df['m'] > 3] = 0\nout = df['m'].tolist()", [2, 3, 0, 0]),
        ("df[df['s'].isnull()]['m'] = 9\nout = df['m'].tolist()", [2, 3, 4, 9]),
        ("df['m'][~df['n'].isna()] = 7\nout = df['m'].tolist()", [7, 3, 7, 7]),
        ("out = df[df['m'] >= 3 & df['m'] <= 4]['m'].tolist()", [3, 4]),
        ("out = df[df['s'] == 'y' | df['n'] > 3 | df['m'] == (1 + 1)]['m'].tolist()", [2, 3, 5]),
        ("out = df.corr().columns.tolist()", ["n", "m"]),
        ("out = df.groupby('s')['n', 'm'].sum()['m'].tolist()", [6, 3]),
        ("out = df['d'].dt.week.tolist()", [1, 1, 5, 9]),
        ("out = df.set_index('d').resample('M')['m'].sum().tolist()", [5, 4, 5]),
        ("out = df.set_index('d').groupby(pd.Grouper(freq='2M'))['m'].sum().sum()", 14),
        ("out = [name for name in df if df[name].dtype == 'object']", ["s"]),
        ("out = [name for name in df if df[name].dtype != object]", ["n", "m", "d"]),
        ("out = df.dtypes[df.dtypes == object].index.tolist()", ["s"]),
        ("out = df.dtypes[df.dtypes != 'O'].index.tolist()", ["n", "m", "d"]),
        ("out = int(pd.to_datetime(df['d'], infer_datetime_format=True).dt.month.sum())", 7),
        ("import io\nout = pd.read_csv(io.StringIO('a b\\n1 2'), delim_whitespace=True)['b'].tolist()", [2]),
        ("import io\nout = len(pd.read_csv(io.StringIO('a,b\\n1,2\\n1,2,3'), error_bad_lines=False))", 1),
        ("import io\nfile = io.StringIO()\ndf[['m']].to_csv(file, index=False, line_terminator='|')\nout = file.getvalue()", "m|2|3|4|5|"),
        ("out = df['m'].between(3, 5, inclusive=False).sum()", 1),
        ("out = df['m'].between(3, 5, inclusive=True).sum()", 3),
        ("out = len(pd.date_range('2024-01-01', '2024-01-03', closed='left'))", 2),
        ("out = [np.isnan(np.NaN), np.in1d([1, 2], [2]).tolist(), np.product([2, 3]), np.trapz([1, 3])]", [True, [False, True], 6, 2]),
        ("out = np.array([1.7]).astype(np.int).tolist() + [np.float(2), np.str(3)]", [1, 2.0, "3"]),
        ("from sklearn.preprocessing import OneHotEncoder\nout = OneHotEncoder(sparse=False).fit_transform([['a']]).tolist()", [[1]]),
    ],
)  # fmt: skip
def test_programs_in_old_names_do_what_they_did(code: str, expected: object) -> None:
    names = {"df": pd.DataFrame(FRAME), "pd": pd, "np": np}
    whole = put_right(code)
    assert whole != code
    exec(whole, names)
    assert names["out"] == expected


def test_a_file_that_is_no_plain_csv_is_read_by_the_toolbox_unless_options_say_how() -> None:
    files = ("ledger.csv",)
    whole = put_right("df = pd.read_csv('ledger.csv')\nother = pd.read_csv('plain.csv')", KnownTables(files))
    assert (
        whole
        == "import pandas as pd\nimport toolbox\ndf = toolbox.read('ledger.csv')\nother = pd.read_csv('plain.csv')"
    )
    said_how = "import pandas as pd\ndf = pd.read_csv('ledger.csv', sep=';', decimal=',')"
    assert put_right(said_how, KnownTables(files)) == said_how


def test_a_column_of_numbers_is_made_text_before_it_is_cleaned_as_text() -> None:
    whole = put_right(
        "out = df['n'].str.replace('.', ',').tolist(), df['s'].str.upper().tolist()[:1]", KnownTables(numbers=("n",))
    )
    assert whole == "out = df['n'].astype(str).str.replace('.', ',').tolist(), df['s'].str.upper().tolist()[:1]"
    names: dict[str, Any] = {"df": pd.DataFrame(FRAME), "pd": pd}
    exec(whole, names)
    texts, upper = names["out"]
    assert (texts[0], pd.isna(texts[1]) or texts[1] == "nan", texts[2:], upper) == ("1,0", True, ["3,0", "40,0"], ["X"])


def test_pandas_knows_each_new_name_and_complains_of_none() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for name in old_names._FREQUENCIES.values():
            assert len(pd.date_range("2024-01-01", periods=2, freq=name)) == 2


def test_no_entry_is_about_a_name_that_numpy_still_has_for_something_else() -> None:
    for old, today in old_names._NUMPY.items():
        assert hasattr(np, today)
        assert not hasattr(np, old) or getattr(np, old) is getattr(np, today), old


def test_no_function_of_numpy_is_one_of_pandas_too() -> None:
    for name in old_names._NOT_IN_PANDAS:
        assert hasattr(np, name)
        assert not hasattr(pd, name), name


def test_an_edit_within_another_waits_for_the_next_round() -> None:
    source = Source("f(g(1), g(2))")
    outer = source.tree.body[0]
    assert isinstance(outer, ast.Expr) and isinstance(outer.value, ast.Call)
    inner = outer.value.args[0]
    assert source.with_edits([Edit(inner, "x"), Edit(outer, "y")]) == "y"
    assert source.with_edits([Edit(inner, "x")]) == "f(x, g(2))"


@pytest.mark.parametrize("code", ["f(", "\0", "x = '" + "(" * 100, "(" * 100_000, "a" + ".b" * 20_000])
def test_a_program_that_cannot_be_parsed_is_left_as_it_is(code: str) -> None:
    assert put_right(code) == code


@pytest.mark.parametrize(
    ("code", "today"),
    [
        ("x.str.extract(r'\\d+')", "x.str.extract(r'(\\d+)', expand=False)"),
        ("x.str.extract(pat='[a-z]+')", "x.str.extract(pat='([a-z]+)', expand=False)"),
        ('x.str.extract("""a""", expand=True)', 'x.str.extract("""(a)""", expand=True)'),
        ("x.str.extract('a', re.I)", "import re\nx.str.extract('(a)', re.I)"),
        ("x.str.extractall('a')", "x.str.extractall('(a)')"),
        ("x.str.extract('(a)b')", "x.str.extract('(a)b')"),
        ("x.str.extract('a' 'b')", "x.str.extract('(a' 'b)', expand=False)"),
        ("x.str.extract('a' \"'b'\")", "x.str.extract('a' \"'b'\")"),
        ("x.str.extract(pattern)", "x.str.extract(pattern)"),
        ("x.str.extract('[')", "x.str.extract('[')"),
        ("archive.extract()", "archive.extract()"),
    ],
)
def test_a_pattern_without_a_group_is_made_one(code: str, today: str) -> None:
    assert put_right(code) == today


def test_what_is_extracted_is_a_column_again() -> None:
    texts = pd.Series(["[98]", "12.5 kg", "none"])
    with pytest.raises(ValueError, match="no capture groups"):
        texts.str.extract(r"\d+\.?\d*")
    found = eval(put_right(r"texts.str.extract(r'\d+\.?\d*').astype(float)").rpartition("\n")[2], {"texts": texts})
    assert found.dropna().tolist() == [98.0, 12.5]


@pytest.mark.parametrize(
    ("code", "today"),
    [
        ("x = df['day'].dt.year", "import pandas as pd\nx = pd.to_datetime(df['day']).dt.year"),
        ("df[df['day'].dt.month == 3]", "import pandas as pd\ndf[pd.to_datetime(df['day']).dt.month == 3]"),
        ("df['day'] = f(df['day'])\ndf['day'].dt.year", "df['day'] = f(df['day'])\ndf['day'].dt.year"),
        ("df = read_csv('a', parse_dates=['day'])\ndf['day'].dt.year", "df = read_csv('a', parse_dates=['day'])\ndf['day'].dt.year"),
        ("df['end'].dt.year", "df['end'].dt.year"),
        ("ax.plot(df['day'], df['x'], label='x')", "import pandas as pd\nax.plot(pd.to_datetime(df['day']), df['x'], label='x')"),
        ("df['day'].plot()", "df['day'].plot()"),
        ("df[df['day'] == '2010']", "import pandas as pd\ndf[(pd.to_datetime(df['day']).dt.year == 2010)]"),
        ("df[(df['day'] == 2010) & a]", "import pandas as pd\ndf[((pd.to_datetime(df['day']).dt.year == 2010)) & a]"),
        (
            "df[df['day'] == '2010-03']",
            "import pandas as pd\ndf[((pd.to_datetime(df['day']).dt.year == 2010) & (pd.to_datetime(df['day']).dt.month == 3))]",
        ),
        ("df[df['day'] == '2010-03-01']", "df[df['day'] == '2010-03-01']"),
        ("df[df['day'] >= '2010']", "df[df['day'] >= '2010']"),
        ("df[df['x'] == '2010']", "df[df['x'] == '2010']"),
        ("plt.plot(df['x'], df['day'])", "import matplotlib.pyplot as plt\nplt.plot(df['x'], df['day'])"),
        ("df['day'].str[:4]", "df['day'].str[:4]"),
    ],
)  # fmt: skip
def test_parts_of_dates_are_taken_of_dates(code: str, today: str) -> None:
    assert put_right(code, KnownTables(dates={"day"})) == today


def test_parts_of_dates_as_text_are_had() -> None:
    df = pd.DataFrame({"day": ["2024-03-01", "2025-04-02"]})
    with pytest.raises(AttributeError):
        df["day"].dt.year  # noqa: B018
    code = put_right("df.groupby(df['day'].dt.year).size()", KnownTables(dates={"day"})).rpartition("\n")[2]
    assert eval(code, {"df": df, "pd": pd}).index.tolist() == [2024, 2025]


@pytest.mark.parametrize("name", ["a.parquet", "sub/A.XLSX", "events.jsonl"])
def test_a_file_that_is_no_text_is_not_read_as_csv(name: str) -> None:
    assert put_right(
        f"df = pd.read_csv('{name}')"
    ) == f"import toolbox\nimport pandas as pd\ndf = toolbox.read('{name}')".replace("import pandas as pd\n", "")
    assert "toolbox" not in put_right("df = pd.read_csv('parquet.csv')")


def test_a_filter_in_the_wrong_column_of_merged_tables_is_moved() -> None:
    moved = {("continent", "South Asia"): "Group"}
    merged = "both = pd.merge(a, b, on='country')\n"
    code = f"import pandas as pd\n{merged}both[(both['continent'] == 'South Asia') & (both['year'] == 7)]"
    assert put_right(code, KnownTables(moved=moved)) == code.replace("'continent'", "'Group'")
    for other in (code.replace("South Asia", "Asia"), code.replace(merged, ""), code.replace("continent", "area")):
        assert put_right(other, KnownTables(moved=moved)) == other


def test_words_for_missing_values_are_put_as_what_finds_them() -> None:
    code = "import pandas as pd\ndf[(df['sex'] != 'missing') & (df['mass'] == 'NaN') & (df['x'] != 'missing')]"
    assert put_right(code, KnownTables(without_words={"sex", "mass"})) == (
        "import pandas as pd\ndf[(df['sex'].notna()) & (df['mass'].isna()) & (df['x'] != 'missing')]"
    )
