"""Source archives that are the same bytes each time: setuptools takes times, owners and order from the folder that it packs."""

from __future__ import annotations

import gzip
import io
import tarfile
from pathlib import Path


def repack(archive: Path, time: int) -> None:
    """Write a `.tar.gz` anew, its members in the order of their names, of one time (in seconds since 1970) and of nobody."""
    with tarfile.open(archive) as old:
        members = [(member, _content(old, member)) for member in old.getmembers()]
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as new:
        for member, content in sorted(members, key=lambda each: each[0].name):
            new.addfile(_anonymous(member, time), io.BytesIO(content))
    with archive.open("wb") as file, gzip.GzipFile("", "wb", fileobj=file, mtime=time) as compressed:
        compressed.write(packed.getvalue())


def _content(archive: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    file = archive.extractfile(member)
    return b"" if file is None else file.read()


def _anonymous(member: tarfile.TarInfo, time: int) -> tarfile.TarInfo:
    bare = tarfile.TarInfo(member.name)
    bare.type, bare.size, bare.mtime = member.type, member.size, time
    bare.mode = 0o755 if member.isdir() or member.mode & 0o100 else 0o644
    return bare
