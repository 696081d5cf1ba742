"""How the columns of a table are asked for, where their names alone do not tell them apart."""

from __future__ import annotations

from collections.abc import Sequence

from analystd.wire.errors import InvalidArgumentsError
from analystd.wire.results import ColumnInfo

_HINT_CHARACTERS = 1000


def addresses(names: Sequence[str]) -> list[str]:
    """What each of the columns called `names` is asked for by: no two the same, and none empty.

    It is the name, where no column before has it; `name_2` for the second of that name, and `column_3` for a third column without one. Where
    there is a column that is called so, the number goes on.
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
    """The columns with their `address`, where that is not their name."""
    return [
        column if address == column["name"] else ColumnInfo(name=column["name"], type=column["type"], address=address)
        for column, address in zip(columns, addresses([column["name"] for column in columns]), strict=True)
    ]


def address_of(column: ColumnInfo) -> str:
    """What a column is asked for by."""
    return column.get("address", column["name"])


def position_of(columns: Sequence[ColumnInfo], asked: str) -> int:
    """Where the column is that is asked for by this address, or has this name.

    Raises:
        InvalidArgumentsError: if there is none.
    """
    return positions_of(columns, [asked])[0]


def positions_of(columns: Sequence[ColumnInfo], asked: Sequence[str]) -> list[int]:
    """The same for several. Raises as `position_of`."""
    names = [column["name"] for column in columns]
    every = addresses(names)
    # A column without a name may be asked for by none, too.
    places = {name: at for at, name in reversed([*enumerate(every), *enumerate(names)])}
    for each in asked:
        if each not in places:
            raise InvalidArgumentsError(
                f"There is no column {each!r}", f"The columns are: {', '.join(every)}"[:_HINT_CHARACTERS]
            )
    return [places[each] for each in asked]
