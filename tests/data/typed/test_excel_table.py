from __future__ import annotations

import datetime
import io
import zipfile
from collections.abc import Callable
from typing import Any

import pytest

from analystd.data.formats import Formats
from analystd.data.positioned_file import PositionedFile
from analystd.data.table import Table
from analystd.data.typed import excel_sheet
from analystd.data.view_request import ViewRequest
from analystd.data.views import view
from analystd.wire.errors import AnalystdError, ResourceLimitError, WorkspaceError

openpyxl = pytest.importorskip("openpyxl")

OpenFile = Callable[..., PositionedFile]
DAY = datetime.datetime(2024, 2, 29)


def workbook(*rows: tuple[Any, ...], first: str = "Sales", others: tuple[str, ...] = ()) -> bytes:
    book = openpyxl.Workbook()
    book.active.title = first
    for row in rows:
        book.active.append(row)
    for name in others:
        book.create_sheet(name).append(("other",))
    stream = io.BytesIO()
    book.save(stream)
    return stream.getvalue()


def opened(open_bytes: OpenFile, content: bytes, name: str = "x.xlsx") -> Table:
    return Formats().open_table(open_bytes(content, name))


def with_member(content: bytes, member: str, change: Callable[[bytes], bytes | None]) -> bytes:
    """Return a workbook with one member of the archive replaced or removed."""
    source, stream = zipfile.ZipFile(io.BytesIO(content)), io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as target:
        for name in source.namelist():
            data = source.read(name)
            changed = change(data) if name == member else data
            if changed is not None:
                target.writestr(name, changed)
    return stream.getvalue()


def by_hand(sheet: str, strings: str = "", styles: str = "") -> bytes:
    """Return a minimal workbook as Excel writes it."""
    names = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main" xmlns:r="urn:r"'
    members = {
        "xl/_rels/workbook.xml.rels": '<Relationships><Relationship Id="rId7" Target="worksheets/one.xml"/></Relationships>',
        "xl/workbook.xml": f'<workbook {names}><sheets><sheet name="One" sheetId="1" r:id="rId7"/></sheets></workbook>',
        "xl/worksheets/one.xml": f"<worksheet {names}><sheetData>{sheet}</sheetData></worksheet>",
        "xl/sharedStrings.xml": strings,
        "xl/styles.xml": styles,
    }
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, text in members.items():
            if text:
                archive.writestr(name, text)
    return stream.getvalue()


STRINGS = (
    "<sst><si><t>name</t></si><si><t>day</t></si><si><r><t>Zü</t></r><r><t>rich</t></r><rPh><t>no</t></rPh></si></sst>"
)
STYLES = (
    '<styleSheet><numFmts><numFmt numFmtId="170" formatCode="dd\\.mm\\.yyyy"/><numFmt numFmtId="171" formatCode="0.0&quot; days&quot;"/>'
    '</numFmts><cellStyleXfs><xf numFmtId="170"/></cellStyleXfs>'
    '<cellXfs><xf numFmtId="0"/><xf numFmtId="170"/><xf numFmtId="171"/></cellXfs></styleSheet>'
)
SHARED = (
    '<row r="1"><c r="A1" t="s"><v>0</v></c><c r="B1" t="s"><v>1</v></c><c r="C1" t="str"><f>1+1</f><v>n</v></c></row>'
    '<row r="2"><c r="A2" t="s"><v>2</v></c><c r="B2" s="1"><v>45351</v></c><c r="C2" s="2"><v>2.5</v></c></row>'
    '<row r="3"><c r="A3" t="e"><v>#N/A</v></c></row>'
)


def test_shared_strings_date_formats_and_formula_results_are_read(open_bytes: OpenFile) -> None:
    table = opened(open_bytes, by_hand(SHARED, STRINGS, STYLES))
    assert [column["name"] for column in table.columns] == ["name", "day", "n"]
    # Excel counts 45351 days to the last of February 2024.
    assert table.rows(0, 9, [0, 1, 2]).cells == [["Zürich", "2024-02-29", 2.5]]


def test_cells_have_the_types_that_a_person_gave_them(open_bytes: OpenFile) -> None:
    content = workbook(
        ("region", "units", "price", "paid", "day", "at", "mixed", "none", "it's & <b>"),
        ("north", 3, 1.5, True, DAY, DAY + datetime.timedelta(hours=7), 1, None, " x "),
        (None, 4, 2, False, None, DAY, "a", None, "Straße\n2"),
    )
    table = opened(open_bytes, content)
    assert [column["name"] for column in table.columns][-1] == "it's & <b>"
    assert [column["type"] for column in table.columns] == [
        *("string", "int64", "double", "bool", "date32[day]", "timestamp[ms]", "string", "string", "string")
    ]
    assert table.count_rows() == 2
    first, second = table.rows(0, 9, list(range(9))).cells
    assert first[:4] == ["north", 3, 1.5, True]
    assert first[4] == "2024-02-29"
    assert str(first[5]).startswith("2024-02-29") and "07:00" in str(first[5])
    assert first[6:] == ["1", None, " x "]
    assert second == [None, 4, 2.0, False, None, second[5], "a", None, "Straße\n2"]


def test_every_view_works_on_a_sheet(open_bytes: OpenFile) -> None:
    table = opened(open_bytes, workbook(("k", "v"), *((f"k{n % 3}", n) for n in range(1000))))
    shape = view(table, ViewRequest("shape"))
    assert (shape["num_rows"], shape["num_columns"]) == (1000, 2)
    assert table.tail(2, [1]).cells == [[998], [999]]
    profiles = view(table, ViewRequest("profile", columns=("v",)))["profiles"]
    assert profiles is not None
    profile = profiles[0]
    assert (profile["min"], profile["max"], profile["missing"]) == (0, 999, 0)


def test_gaps_empty_rows_and_other_sheets_are_reported(open_bytes: OpenFile) -> None:
    content = workbook((), (), ("a", None, "c"), (1, None, 3), (), (4, 5), others=("Notes", "Old"))
    table = opened(open_bytes, content)
    assert [column["name"] for column in table.columns] == ["a", "", "c"]
    assert table.rows(0, 9, [0, 1, 2]).cells == [[1, None, 3], [None, None, None], [4, 5, None]]
    said = " ".join(table.warnings)
    assert "the first of 3 sheets, 'Sales'; the others are 'Notes', 'Old'" in said
    assert "up to row 2, are empty" in said


def test_an_empty_sheet_is_an_empty_table(open_bytes: OpenFile) -> None:
    table = opened(open_bytes, workbook())
    assert (table.columns, table.count_rows()) == ([], 0)
    assert "The sheet is empty" in table.warnings


def test_days_are_counted_from_where_the_workbook_says(open_bytes: OpenFile) -> None:
    book = openpyxl.Workbook()
    book.epoch = openpyxl.utils.datetime.MAC_EPOCH
    book.active.append(("day",))
    book.active.append((DAY,))
    stream = io.BytesIO()
    book.save(stream)
    assert opened(open_bytes, stream.getvalue()).rows(0, 1, [0]).cells == [["2024-02-29"]]


def test_it_reads_what_pandas_reads(open_bytes: OpenFile) -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"n": range(50), "x": [n / 7 for n in range(50)], "s": [f"t{n % 4}" for n in range(50)]})
    stream = io.BytesIO()
    frame.to_excel(stream, index=False)
    table = opened(open_bytes, stream.getvalue())
    assert table.rows(0, 50, [0, 1, 2]).cells == pandas.read_excel(stream).values.tolist()


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: content[: len(content) // 2],
        lambda content: with_member(content, "xl/workbook.xml", lambda data: None),
        lambda content: with_member(content, "xl/worksheets/sheet1.xml", lambda data: None),
        lambda content: with_member(content, "xl/worksheets/sheet1.xml", lambda data: data[:-30]),
        lambda _: by_hand(SHARED.replace("<v>2<", "<v>99<"), STRINGS),
        lambda _: by_hand(
            SHARED, STRINGS.replace("<sst>", '<!DOCTYPE sst [<!ENTITY a "x"><!ENTITY b "&a;&a;">]><sst>')
        ),
        lambda _: by_hand(SHARED, STRINGS, STYLES).replace(b"worksheets/one", b"../../../etc/one"),
        lambda content: with_member(
            content, "xl/worksheets/sheet1.xml", lambda data: data.replace(b'r="A1"', b'r="ZZZ1"')
        ),
        lambda content: with_member(
            content, "xl/worksheets/sheet1.xml", lambda data: data.replace(b'<row r="1"', b'<row r="999999999"')
        ),
        lambda content: b"PK\x03\x04" + b"x" * 100,
    ],
)
def test_a_damaged_or_hostile_workbook_is_refused_in_a_sentence(
    open_bytes: OpenFile, damage: Callable[[bytes], bytes]
) -> None:
    with pytest.raises((WorkspaceError, ResourceLimitError), match=r"^x\.xlsx "):
        opened(open_bytes, damage(workbook(("a", "b"), ("c", 1))))


def test_an_archive_that_unpacks_to_much_is_refused(open_bytes: OpenFile, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(excel_sheet, "MOST_BYTES", 3_000_000)
    bomb = with_member(
        workbook(("a",)),
        "xl/worksheets/sheet1.xml",
        lambda data: data.replace(b"</worksheet>", b" " * 9_000_000 + b"</worksheet>"),
    )
    assert len(bomb) < 50_000
    with pytest.raises(ResourceLimitError, match="of XML"):
        opened(open_bytes, bomb)


def test_a_sheet_with_too_many_cells_is_refused(open_bytes: OpenFile, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(excel_sheet, "MOST_CELLS", 100)
    with pytest.raises(ResourceLimitError, match="more than 100 cells"):
        opened(open_bytes, workbook(*((n, n) for n in range(60))))


def test_a_few_distant_cells_do_not_make_a_huge_table(open_bytes: OpenFile) -> None:
    far = '<row r="1"><c r="XFD1"><v>1</v></c></row><row r="9000"><c r="A9000"><v>1</v></c></row>'
    with pytest.raises(ResourceLimitError, match="cells"):
        opened(open_bytes, by_hand(far))


def test_reading_ends_when_its_request_is_cancelled(open_bytes: OpenFile) -> None:
    file = open_bytes(workbook(("a",), (1,)), "x.xlsx")
    file.listener.cancelled.set()
    with pytest.raises(AnalystdError, match="cancelled"):
        Formats().open_table(file)


def test_another_zip_archive_is_not_a_workbook(open_bytes: OpenFile) -> None:
    with pytest.raises(WorkspaceError, match="zip archive"):
        opened(open_bytes, workbook(("a",)), "x.zip")
