"""`quarantine`: list, restore or remove files that were moved aside because programs outside the jail would trust them."""

from __future__ import annotations

import sys

from analystd.cli.exit_status import EXIT_DONE, EXIT_FAILED, EXIT_REFUSED
from analystd.cli.parser import Options
from analystd.cli.render import ago, gigabytes, print_json, table
from analystd.client import Client, QuarantineEntry, Restoration, connect

_SHOWN_FILES = 20
_SHOWN_ITEMS = 3


async def quarantine(options: Options) -> int:
    """List the entries, restore one, or remove one."""
    async with connect(options.workspace) as desk:
        if options.action == "restore":
            return await _restore(desk, options)
        if options.action == "discard":
            discarded = await desk.discard_quarantine(options.id)
            if options.json:
                print_json(discarded)
            else:
                print(f"{discarded.entry.id}: removed for good")
            return EXIT_DONE
        entries = await desk.list_quarantine()
    if options.json:
        print_json({"entries": entries})
    elif not entries:
        print("Nothing is in quarantine.")
    else:
        print(table([_row(entry) for entry in entries], ["ID", "SINCE", "RUN", "SIZE", "WAS"]))
        print("`analystd quarantine restore ID` shows an entry, and restores it after asking; `discard ID` deletes it.")
    return EXIT_DONE


async def _restore(desk: Client, options: Options) -> int:
    preview = await desk.restore_quarantine(options.id, preview=True)
    if not options.yes:
        if options.json:
            print_json(preview)
            return EXIT_DONE
        _print_preview(preview)
        if preview.problems:
            return EXIT_REFUSED
        if not _is_agreed():
            print("Nothing was restored.")
            return EXIT_FAILED
    restored = await desk.restore_quarantine(options.id, digest=preview.digest)
    if options.json:
        print_json(restored)
    else:
        print(f"Restored: {_names(restored.entry)}. Sessions can only read it from now on.")
    return EXIT_DONE


def _print_preview(preview: Restoration) -> None:
    for item in preview.entry.moved:
        print(f"{item.path} ({item.kind}): trusted by {item.trusted_by}; {item.reason}.")
    for file in preview.files[:_SHOWN_FILES]:
        print(f"  {file.path}  {gigabytes(file.size)}")
    if len(preview.files) > _SHOWN_FILES:
        print("  … and more")
    for problem in preview.problems:
        print(f"It cannot be restored: {problem}", file=sys.stderr)


def _is_agreed() -> bool:
    if not sys.stdin.isatty():
        print("Nobody can be asked without a terminal; add --yes to restore it without asking.", file=sys.stderr)
        return False
    return input("Restore it? Code that you have not read may have created it. [y/N] ").lower() in (
        "y",
        "yes",
    )


def _row(entry: QuarantineEntry) -> list[str]:
    sizes = [item.size for item in entry.moved if item.size is not None]
    return [entry.id, ago(entry.at), ", ".join(entry.runs) or "-", gigabytes(sum(sizes)), _names(entry)]


def _names(entry: QuarantineEntry) -> str:
    more = entry.count - len(entry.moved[:_SHOWN_ITEMS])
    names = ", ".join(item.path for item in entry.moved[:_SHOWN_ITEMS])
    return f"{names} and {more} more" if more > 0 else names
