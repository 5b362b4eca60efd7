"""A tree made of a dictionary: what the pure functions of this room are asked about."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from pytest_pipeline.host.git import Change, Entry, Tree


class FakeTree(Tree):
    """``files`` are plain files by path; ``links`` symlinks by path; ``modules`` paths of submodules."""

    def __init__(
        self,
        files: Mapping[str, str | bytes] | None = None,
        *,
        links: Mapping[str, str] | None = None,
        modules: tuple[str, ...] = (),
    ) -> None:
        self._blobs = {path: text.encode() if isinstance(text, str) else text for path, text in (files or {}).items()}
        self._links = dict(links or {})
        self._modules = modules

    def entries(self) -> Mapping[str, Entry]:
        found = {path: Entry("100644", _id(blob)) for path, blob in self._blobs.items()}
        found |= {path: Entry("120000", _id(target.encode())) for path, target in self._links.items()}
        found |= {path: Entry("160000", "0" * 40) for path in self._modules}
        return dict(sorted(found.items()))

    def read(self, path: str) -> bytes | None:
        return self._blobs.get(path)

    def size(self, path: str) -> int | None:
        return len(self._blobs[path]) if path in self._blobs else None

    def link(self, path: str) -> bytes | None:
        return self._links[path].encode() if path in self._links else None


def _id(blob: bytes) -> str:
    return hashlib.sha1(blob).hexdigest()


def changes(old: Tree, new: Tree) -> tuple[Change, ...]:
    before, after = old.entries(), new.entries()
    paths = sorted(path for path in {*before, *after} if before.get(path) != after.get(path))
    return tuple(Change(path, before.get(path), after.get(path)) for path in paths)
