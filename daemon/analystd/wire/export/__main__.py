"""Write all files that are generated from the declarations of the wire: `python -m analystd.wire.export [ROOT]`."""

from __future__ import annotations

import sys
from pathlib import Path

from analystd.wire.export.json_schemas import schema_files
from analystd.wire.export.options import options_file
from analystd.wire.export.records import record_files
from analystd.wire.export.typescript import typescript

SCHEMAS = "docs/schema"
RECORDS = "daemon/analystd/client"
TYPES = "clients/vscode/src/protocol.ts"


def generated() -> dict[str, str]:
    """Return the content of every generated file by its path in the repository."""
    return {
        **{f"{SCHEMAS}/{name}": text for name, text in schema_files().items()},
        **{f"{RECORDS}/{name}": text for name, text in record_files().items()},
        f"{RECORDS}/options.py": options_file(),
        TYPES: typescript(),
    }


def write(root: Path) -> None:
    """Write the generated files, and delete schemas whose declaration is gone."""
    for path in (root / SCHEMAS).glob("*.json"):
        path.unlink()
    for name, text in generated().items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


if __name__ == "__main__":
    write(Path(sys.argv[1] if len(sys.argv) > 1 else "."))
