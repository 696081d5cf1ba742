from __future__ import annotations

import gzip
import json
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd
import pytest

from analystd import toolbox

LEDGER = 'Datum;Konto;Betrag;Anteil;Text\n03.01.2024;0042;"1.234,50";12 %;Miete\n31.01.2024;0100;-7,25;3,5 %;Büro\n'


def test_a_european_ledger_is_understood(tmp_path: Path) -> None:
    for encoding in ("utf-8", "cp1252", "utf-16"):
        (tmp_path / "ledger.csv").write_text(LEDGER, encoding=encoding)
        frame = toolbox.read(tmp_path / "ledger.csv")
        assert frame["Datum"].to_list() == [pd.Timestamp("2024-01-03"), pd.Timestamp("2024-01-31")]
        assert frame["Konto"].to_list() == ["0042", "0100"]
        assert frame["Betrag"].to_list() == [1234.5, -7.25]
        assert frame["Anteil"].to_list() == pytest.approx([0.12, 0.035])
        assert frame["Text"].to_list() == ["Miete", "Büro"]


def test_the_same_table_is_the_same_in_every_format(tmp_path: Path) -> None:
    plain = pd.DataFrame({"symbol": ["A", "B"], "close": [1.5, 2.25], "n": [1, 2]})
    plain.to_csv(tmp_path / "t.csv", index=False)
    plain.to_csv(tmp_path / "t.tsv", index=False, sep="\t")
    plain.to_parquet(tmp_path / "t.parquet")
    plain.to_feather(tmp_path / "t.feather")
    (tmp_path / "t.csv.gz").write_bytes(gzip.compress((tmp_path / "t.csv").read_bytes()))
    records = plain.to_dict("records")
    (tmp_path / "t.jsonl").write_text("\n".join(map(json.dumps, records)))
    (tmp_path / "t.json").write_text(json.dumps(records))
    for file in tmp_path.iterdir():
        got = toolbox.read(file)
        assert got.to_dict("records") == records, file.name


def test_ambiguous_columns_stay_text_and_are_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "t.csv").write_text('a;d\n"1,234";01/02/2024\n"5,678";03/04/2024\n')
    frame = toolbox.read(tmp_path / "t.csv")
    assert frame["a"].to_list() == ["1,234", "5,678"]
    assert frame["d"].to_list() == ["01/02/2024", "03/04/2024"]
    said = capsys.readouterr().out
    assert "'a' stays text" in said
    assert "'d' stays text" in said
    assert toolbox.read(tmp_path / "t.csv", decimal=".", dayfirst=True)["a"].to_list() == [1234, 5678]


def test_missing_marks_booleans_and_mixed_columns(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("n,b,m,country\n1,yes,1,NA\n?,no,K1A 0B1,DE\n3,,3,NA\n")
    frame = toolbox.read(tmp_path / "t.csv")
    assert frame["n"].isna().to_list() == [False, True, False]
    assert frame["b"].to_list()[:2] == [True, False]
    assert frame["m"].to_list() == ["1", "K1A 0B1", "3"]
    assert frame["country"].to_list() == ["NA", "DE", "NA"]


def test_integers_stay_exact(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("id,small\n9007199254740993,1\n9007199254740995,2\n")
    frame = toolbox.read(tmp_path / "t.csv")
    assert [str(value) for value in frame["id"]] == ["9007199254740993", "9007199254740995"]
    assert frame["small"].dtype == "int64"


def test_a_plot_is_saved_and_its_path_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plt.switch_backend("agg")
    target = toolbox.save_plot(pd.Series([1, 3, 2]), tmp_path / "plots" / "line.png", title="Three points")
    assert target.read_bytes().startswith(b"\x89PNG")
    assert str(target) in capsys.readouterr().out
    assert not plt.get_fignums()
    with pytest.raises(TypeError, match="no plot"):
        toolbox.save_plot(3, tmp_path / "x.png")
