"""The documentation leads to what is there, and has every setting."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from analystd.config.settings import Settings, variable

ROOT = Path(__file__).parent.parent
PAGES = sorted(
    path.relative_to(ROOT)
    for pattern in ("*.md", "docs/*.md", "bench/*.md", "clients/vscode/*.md", ".github/*.md")
    for path in ROOT.glob(pattern)
)
LINK = re.compile(r"\]\(([^)\s]+)\)")


def without_code(text: str) -> str:
    return re.sub(r"(?ms)^```.*?^```|`[^`\n]*`", "", text)


def anchors(page: Path) -> Iterator[str]:
    """The anchors that GitHub gives to the headings of a page."""
    for heading in re.findall(r"(?m)^#+ (.+)$", page.read_text()):
        kept = re.sub(r"[^\w\- ]", "", heading.lower())
        yield kept.replace(" ", "-")


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_every_link_to_a_file_leads_to_one(page: Path) -> None:
    text = without_code((ROOT / page).read_text())
    for link in LINK.findall(text):
        if re.match(r"\w+:", link):
            continue
        place, _, anchor = link.partition("#")
        target = ROOT / page.parent / place if place else ROOT / page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


def test_every_setting_is_documented() -> None:
    text = (ROOT / "docs/settings.md").read_text()
    assert [name for each in dataclasses.fields(Settings) if f"`{(name := variable(each.name))}`" not in text] == []


def test_no_picture_is_large() -> None:
    pictures = list((ROOT / "docs/images").glob("*"))
    assert pictures
    assert [path.name for path in pictures if path.stat().st_size > 300_000] == []
