"""What a page shows beside the record: the end of a transcript, and what a merge has changed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from pytest_pipeline.errors import HostError
from pytest_pipeline.execution.layout import Layout
from pytest_pipeline.host.git import Repository
from pytest_pipeline.record.model import AttemptRecord

MOST_BYTES = 20 * 1024
"""Of a transcript's end, and of a diff's beginning."""


@dataclass(frozen=True)
class Shelf:
    """Where transcripts and merged commits of one session lie.

    Args:
        rootdir: that the paths of transcripts are relative to.
        state: the state directory.
        session: id of the session; transcripts are read from its own directory alone.
        repositories: git directories that may hold the merge commits.
        most: bytes of each text.
    """

    rootdir: Path
    state: Path
    session: str
    repositories: tuple[Path, ...]
    most: int = MOST_BYTES

    @classmethod
    def of(cls, rootdir: Path, layout: Layout, most: int = MOST_BYTES) -> Shelf:
        """That of a session."""
        return cls(rootdir, layout.state, layout.session, (layout.forge, layout.hosted), most)

    def transcript(self, attempt: AttemptRecord) -> str:
        """The end of what the agent printed; empty where that is not there any more."""
        path = self.file(attempt)
        if path is None:
            return ""
        with path.open("rb") as file:
            size = path.stat().st_size
            file.seek(max(0, size - self.most))
            text = file.read(self.most).decode("utf-8", "replace")
        return text if size <= self.most else f"[{size - self.most} bytes before this are left out]\n{text}"

    def file(self, attempt: AttemptRecord) -> Path | None:
        """The transcript of an attempt; what it says of itself is data, and may name any file. None: it names none."""
        own = self.state / "sessions" / self.session
        try:
            path = (self.rootdir / attempt.properties.get("transcript", "")).resolve()
            inner = path.relative_to(own.resolve()).parts
            # a worker that shares no directory with the others has one of its own, see Layout.part
            return path if "transcripts" in inner[:2] and path.is_file() else None
        except (OSError, RuntimeError, ValueError):  # a circle of links, or a name that no file system takes
            return None

    def diff(self, attempt: AttemptRecord) -> str:
        """What the merge has changed on the commit that it was merged onto; empty where nothing is known of it."""
        merged, parent = attempt.properties.get("merge_commit", ""), attempt.properties.get("merge_base", "")
        for repository in self._holding((merged, parent)):
            try:
                text = repository.text("diff", "--no-ext-diff", "--no-textconv", "--no-color", parent, merged)
            except HostError:
                return ""
            return text if len(text) <= self.most else f"{text[: self.most]}\n[the rest is left out]"
        return ""

    def _holding(self, commits: Iterable[str]) -> Iterable[Repository]:
        wanted = list(commits)
        for place in self.repositories:
            repository = Repository(place)
            if all(wanted) and place.is_dir() and all(repository.resolve(each) for each in wanted):
                yield repository
