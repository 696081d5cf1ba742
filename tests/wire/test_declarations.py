from __future__ import annotations

from dataclasses import MISSING, dataclass

from analystd.wire.export.declarations import ShapeMember, reached_from, shape_of
from analystd.wire.export.records import record_files
from analystd.wire.export.typescript import typescript
from analystd.wire.results import ColumnInfo, Step, ViewResult


@dataclass(frozen=True, kw_only=True)
class Cut:
    """A cut."""

    at: int
    deep: bool = False


def test_a_shape_has_its_members_in_order_with_what_is_said_of_them() -> None:
    shape = shape_of(Step)
    assert (shape.name, shape.doc.split("\n")[0]) == ("Step", "One tool call of a run, with its result.")
    by_name = {member.name: member for member in shape.members}
    assert list(by_name) == ["tool", "arguments", "ok", "output", "seconds", "displays", "valid", "hint"]
    assert by_name["tool"] == ShapeMember("tool", str, True, MISSING, "")
    assert by_name["valid"] == ShapeMember("valid", bool, False, True, "")
    assert by_name["hint"] == ShapeMember("hint", str, False, MISSING, "")


def test_a_string_under_a_member_is_said_of_it() -> None:
    address = next(member for member in shape_of(ColumnInfo).members if member.name == "address")
    assert address.doc.startswith("The column's address in `columns`")


def test_members_of_a_dataclass_with_defaults_may_be_left_out() -> None:
    assert [(each.name, each.is_required, each.absent) for each in shape_of(Cut).members] == [
        ("at", True, MISSING),
        ("deep", False, False),
    ]


def test_shapes_are_found_through_lists_unions_and_notes() -> None:
    names = {cls.__name__ for cls in reached_from(ViewResult)}
    assert names == {"ViewResult", "ColumnInfo", "ColumnProfile", "HistogramBins", "ValueCount"}


def test_a_record_has_every_member_of_its_shape() -> None:
    results = record_files()["results.py"]
    record = results.partition("class Step(Record):")[2].partition("@dataclass")[0]
    for line in (
        "    tool: str",
        "    arguments: Mapping[str, Any]",
        "    displays: int = 0",
        "    valid: bool = True",
        "    hint: str | None = None",
    ):
        assert line in record.split("\n")


def test_an_interface_says_what_may_be_left_out_and_what_may_be_null() -> None:
    lines = typescript().split("\n")
    for line in (
        '  runAgent: "analystd.runAgent",',
        "  profiles?: ColumnProfile[] | null;",
        "  displays: MimeBundle[];",
        "  forget_runs?: string[];",
        '  status: "done" | "cancelled" | "failed" | "limit";',
    ):
        assert line in lines
