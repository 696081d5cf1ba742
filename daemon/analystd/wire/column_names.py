"""Unambiguous addresses for the columns of a table whose names are empty or repeated."""

from __future__ import annotations

from collections.abc import Sequence

from analystd.wire.errors import InvalidArgumentsError
from analystd.wire.results import ColumnInfo

_HINT_CHARACTERS = 1000


def addresses(names: Sequence[str]) -> list[str]:
    """Return an address for each of the columns called `names`; addresses are unique and never empty.

    The address of a column is its name if no earlier column has it, `name_2` for the second column of that name, and `column_3` for a third
    column without a name. If another column has that name already, the number is increased until the address is free.
    """
    taken = set(names)
    seen: dict[str, int] = {}
    found = []
    for position, name in enumerate(names, 1):
        seen[name] = seen.get(name, 0) + 1
        if name and seen[name] == 1:
            found.append(name)
            continue
        address, number = (f"{name}_{seen[name]}", seen[name]) if name else (f"column_{position}", 1)
        stem = name or address
        while address in taken:
            number += 1
            address = f"{stem}_{number}"
        taken.add(address)
        found.append(address)
    return found


def addressed(columns: Sequence[ColumnInfo]) -> list[ColumnInfo]:
    """Return the columns, with an `address` where it differs from the name."""
    return [
        column if address == column["name"] else ColumnInfo(name=column["name"], type=column["type"], address=address)
        for column, address in zip(columns, addresses([column["name"] for column in columns]), strict=True)
    ]


def address_of(column: ColumnInfo) -> str:
    """Return the address of a column."""
    return column.get("address", column["name"])


def position_of(columns: Sequence[ColumnInfo], asked: str) -> int:
    """Return the position of the column with this address or name.

    Raises:
        InvalidArgumentsError: if there is no such column.
    """
    return positions_of(columns, [asked])[0]


def positions_of(columns: Sequence[ColumnInfo], asked: Sequence[str]) -> list[int]:
    """Return the positions of several columns; see `position_of`."""
    names = [column["name"] for column in columns]
    every = addresses(names)
    # A column without a name may also be addressed by the empty name.
    places = {name: at for at, name in reversed([*enumerate(every), *enumerate(names)])}
    for each in asked:
        if each not in places:
            raise InvalidArgumentsError(
                f"There is no column {each!r}", f"The columns are: {', '.join(every)}"[:_HINT_CHARACTERS]
            )
    return [places[each] for each in asked]
