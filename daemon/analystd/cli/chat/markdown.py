"""Print Markdown in a terminal while it is generated: headings, bold, code, lists, quotes and tables, around inert text."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Sequence

from prompt_toolkit.utils import get_cwidth

from analystd.cli.output import InertWriter
from analystd.util.inert_text import one_line

_BOLD = "1"
_HEADING = "1;4"
_CODE = "36"
_DIM = "2"

_LONGEST_HELD = 4000
"""Maximum number of characters of a line that are held back until their markup is known; a longer line is shown as it is."""
_TABLE_CHARACTERS = 200_000
"""Maximum size of a table that is aligned; the lines of a larger one are shown as they are."""

_SPAN = re.compile(r"(?<!\w)\*\*(?=\S)(?P<bold>[^*\n]+?)(?<=\S)\*\*(?!\*)|`(?P<code>[^`\n]+)`")
_OPENER = re.compile(r"(?<!\w)\*{1,2}$|(?<!\w)\*\*(?=\S)|`")
_FENCE = re.compile(r"[ \t]{0,3}(```+|~~~+)[ \t]*(.*)", re.DOTALL)
_BLOCK = re.compile(r"(?P<heading>#{1,6})[ \t]+|(?P<indent>[ \t]*)(?P<bullet>[-*+])[ \t]+(?=[^ \t])|(?P<quote>>)[ \t]?")
_RULE = re.compile(r"[ \t]{0,3}([-*_])(?:[ \t]*\1){2,}[ \t]*")
_SEPARATOR = re.compile(r"[ \t]*\|?[ \t]*:?-+:?[ \t]*(?:\|[ \t]*:?-+:?[ \t]*)*\|?[ \t]*")
_ROW = re.compile(r"[ \t]*\|")
_UNDECIDED = re.compile(r"[ \t]*(?:[-*+_][-*_ \t]*|#{1,6}[ \t]*|>|`{1,2}|~{1,2}|)")
"""Beginnings of a line that do not decide yet which kind of line it is."""
_HELD_KIND = re.compile(r"[ \t]*(?:\||```|~~~)")
"""Kinds of lines that are shown only when they are complete."""
_UNSETTLED = re.compile(r"(?:[^\x00-\x7f][\u200c\u200d])*[^\x00-\x7f]?\Z|\r\Z")
"""The end of a piece that may form one character with the next piece, and is shown together with it."""


class MarkdownPrinter:
    """Prints Markdown that arrives in pieces of any size; without colours, the text is printed as it is."""

    def __init__(self, writer: InertWriter) -> None:
        self._writer = writer
        self._line = ""
        """The part of the current line that has arrived."""
        self._shown = 0
        """The number of its characters that are shown."""
        self._style: str | None = None
        """The style of the current line; None until its kind is known."""
        self._fence = ""
        self._table: list[str] = []
        self._table_size = 0
        self._is_in_line = False
        """Whether the terminal's current line has text."""

    def feed(self, text: str) -> None:
        """Take a piece of text, and print what is certain so far."""
        *ended, last = (self._line + text).split("\n")
        for line in ended:
            self._whole_line(line.removesuffix("\r"))
        self._line = last
        if last:
            self._part_of_line()
        self._writer.flush()

    def end(self) -> None:
        """Print the rest, and end the line."""
        if self._line or self._is_in_line:
            self._whole_line(self._line)
        self._line = ""
        self._print_table()
        self._fence = ""
        self._writer.flush()

    def _whole_line(self, line: str) -> None:
        self._line = line
        if self._style is not None or not self._writer.has_colour:
            self._show(len(line))
            self._write("\n")
        else:
            self._new_line(line)
        self._line, self._shown, self._style = "", 0, None

    def _new_line(self, line: str) -> None:
        """Print a complete line of which nothing is shown yet."""
        if self._is_fence(line):
            return
        if not self._fence and _ROW.match(line):
            self._table.append(line)
            self._table_size += len(line)
            if self._table_size > _TABLE_CHARACTERS:
                self._print_table()
            return
        self._print_table()
        if self._fence:
            self._write(f"    {line}\n", _CODE)
        elif _RULE.fullmatch(line):
            self._write("─" * 40 + "\n", _DIM)
        else:
            self._begin()
            self._show(len(line))
            self._write("\n")

    def _part_of_line(self) -> None:
        """Print the certain part of an incomplete line."""
        if not self._writer.has_colour:
            self._show(_settled(self._line))
            return
        if self._style is None:
            is_open = self._fence or _UNDECIDED.fullmatch(self._line) or _HELD_KIND.match(self._line)
            if is_open and len(self._line) < _LONGEST_HELD:
                return
            self._print_table()
            self._begin()
        self._show(self._certain())

    def _begin(self) -> None:
        """Print the mark of the current line's kind."""
        self._style = ""
        found = None if self._fence else _BLOCK.match(self._line)
        if found is None:
            return
        if found["heading"]:
            self._style = _HEADING if len(found["heading"]) == 1 else _BOLD
        elif found["quote"]:
            self._style = _DIM
            self._write("│ ", _DIM)
        else:
            self._write(f"{found['indent']}• ")
        self._shown = found.end()

    def _certain(self) -> int:
        """Return the end of the certain part of the current line: no later text can change its markup."""
        if len(self._line) - self._shown > _LONGEST_HELD:
            return len(self._line)
        closed = max((span.end() for span in _SPAN.finditer(self._line, self._shown)), default=self._shown)
        opener = _OPENER.search(self._line, closed)
        return _settled(self._line) if opener is None else opener.start()

    def _show(self, end: int) -> None:
        """Print the current line up to a position, with bold text and code in their styles."""
        style = self._style or ""
        if self._writer.has_colour:
            for span in _SPAN.finditer(self._line, self._shown, end):
                self._write(self._line[self._shown : span.start()], style)
                self._write(span["bold"] or span["code"], _BOLD if span["bold"] else _CODE)
                self._shown = span.end()
        self._write(self._line[self._shown : end], style)
        self._shown = max(self._shown, end)

    def _write(self, text: str, style: str = "") -> None:
        if text:
            self._is_in_line = not text.endswith("\n")
            self._writer.write_styled(text, style)

    def _is_fence(self, line: str) -> bool:
        """Return whether a line begins or ends a block of code."""
        found = _FENCE.fullmatch(line)
        if found is None or (self._fence and (not found[1].startswith(self._fence) or found[2])):
            return False
        self._print_table()
        self._fence = "" if self._fence else found[1]
        return True

    def _print_table(self) -> None:
        lines, self._table, self._table_size = self._table, [], 0
        if len(lines) >= 2 and _SEPARATOR.fullmatch(lines[1]):
            for number, row in enumerate(aligned([lines[0], *lines[2:]], lines[1])):
                self._write(row + "\n", _BOLD if number == 0 else "")
        else:
            for line in lines:
                self._write(line + "\n")


def aligned(rows: Sequence[str], separator: str) -> Iterator[str]:
    """Yield the rows of a Markdown table with aligned columns: to the right if the separator ends in `:`, else to the left."""
    table = [[one_line(cell) for cell in _cells(row)] for row in rows]
    to_the_right = [cell.endswith(":") and not cell.startswith(":") for cell in _cells(separator)]
    widths = [max(map(get_cwidth, column)) for column in itertools.zip_longest(*table, fillvalue="")]
    for row in table:
        shown = []
        for column, cell in enumerate(row):
            blank = " " * (widths[column] - get_cwidth(cell))
            shown.append(blank + cell if column < len(to_the_right) and to_the_right[column] else cell + blank)
        yield "  ".join(shown).rstrip()


def _settled(line: str) -> int:
    """Return the end of the part that later text cannot change: it may complete a line end or a character made of several."""
    found = _UNSETTLED.search(line)
    return len(line) if found is None else found.start()


def _cells(row: str) -> list[str]:
    """Return the cells of a row without the marks of bold and code; `\\|` in a cell is a bar."""
    row = row.strip().removeprefix("|")
    row = row[:-1] if row.endswith("|") and not row.endswith("\\|") else row
    cells = [cell.replace("\\|", "|").strip() for cell in re.split(r"(?<!\\)\|", row)]
    return [_SPAN.sub(lambda span: span["bold"] or span["code"], cell) for cell in cells]
