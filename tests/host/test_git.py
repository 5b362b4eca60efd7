from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from pytest_pipeline.host.git import Entry, GitError, RefUpdate, Repository
from tests.host.git_world import AUTHOR, commit_all, git, source_repository, write


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "source"
    source_repository(path, {"README.md": "hello\n", "src/a.py": "a = 1\n", "src/deep/b.py": "b = 2\n"})
    return path


@pytest.fixture
def store(tmp_path: Path, source: Path) -> Repository:
    repository = Repository.create(tmp_path / "store.git")
    repository.fetch(str(source), ["refs/heads/main:refs/heads/main"])
    return repository


def head_of(repository: Repository) -> str:
    head = repository.resolve("refs/heads/main")
    assert head is not None
    return head


# --- reading ----------------------------------------------------------------------------------------------------------


def test_a_tree_gives_every_file_sorted_and_reads_blobs(store: Repository) -> None:
    tree = store.tree(head_of(store))
    assert list(tree.entries()) == ["README.md", "src/a.py", "src/deep/b.py"]
    assert tree.entries()["src/a.py"] == Entry("100644", store.text("rev-parse", "main:src/a.py"))
    assert tree.read("src/deep/b.py") == b"b = 2\n"
    assert tree.size("src/deep/b.py") == 6


@pytest.mark.parametrize("path", ["src", "src/missing.py", "missing/a.py", "README.md/x", "link", "link/a.py"])
def test_what_is_not_a_file_reads_as_none(tmp_path: Path, source: Path, store: Repository, path: str) -> None:
    (source / "link").symlink_to("src")
    commit_all(source, {})
    store.fetch(str(source), ["+refs/heads/main:refs/heads/main"])
    tree = store.tree(head_of(store))
    assert tree.read(path) is None
    assert tree.size(path) is None
    assert tree.link("link") == b"src"


def test_names_that_are_not_utf8_come_back_as_the_file_system_has_them(source: Path, store: Repository) -> None:
    names = {os.fsdecode(b"caf\xe9.txt"), "-dash", "line\nbreak", "ünï"}
    commit_all(source, dict.fromkeys(names, "x"))
    store.fetch(str(source), ["+refs/heads/main:refs/heads/main"])
    assert names < set(store.tree(head_of(store)).entries())


def test_an_empty_tree_has_no_files(store: Repository) -> None:
    empty = store.run("mktree").stdout.decode().strip()
    assert store.tree(empty).entries() == {}


def test_a_blob_is_not_a_tree(store: Repository) -> None:
    with pytest.raises(GitError, match="There is no commit or tree"):
        store.tree(store.text("rev-parse", "main:README.md"))


def test_changes_are_those_of_git_diff_tree(source: Path, store: Repository) -> None:
    old = head_of(store)
    (source / "src" / "deep" / "b.py").unlink()
    (source / "src" / "deep").rmdir()
    new = commit_all(source, {"README.md": "bye\n", "src/deep": "now a file\n", "x/y": "new\n"})
    store.fetch(str(source), ["+refs/heads/main:refs/heads/main"])
    changes = store.changes(old, new)
    told = [line.split("\t") for line in store.text("diff-tree", "-r", "--no-renames", old, new).splitlines()]
    assert [change.path for change in changes] == sorted(path for _, path in told)
    for change in changes:
        meta = next(meta for meta, path in told if path == change.path).lstrip(":").split()
        absent = Entry("000000", "0" * 40)
        assert (change.old or absent) == Entry(meta[0], meta[2])
        assert (change.new or absent) == Entry(meta[1], meta[3])
    assert store.changes(new, new) == ()


def test_objects_that_come_later_in_a_pack_are_found(source: Path, store: Repository) -> None:
    head_of(store)  # the reader has looked at the packs of that moment
    new = commit_all(source, {f"many/{number}": f"{number}\n" for number in range(150)})
    store.fetch(str(source), ["refs/heads/main:refs/heads/next"])
    assert len(store.tree(new).entries()) == 153


def test_a_repacked_repository_is_still_read(store: Repository) -> None:
    head = head_of(store)
    assert store.commit(head).message == "First\n"
    store.run("repack", "-a", "-d", "--quiet")
    store.run("pack-refs", "--all", "--prune")
    assert store.commit(head).message == "First\n"
    assert store.tree(head).read("README.md") == b"hello\n"
    assert head_of(store) == head


def test_borrowed_objects_are_read_through_two_levels(tmp_path: Path, store: Repository) -> None:
    middle = Repository.create(tmp_path / "middle.git", alternates=[store.objects])
    top = Repository.create(tmp_path / "top.git", alternates=[middle.objects])
    assert top.tree(head_of(store)).read("src/a.py") == b"a = 1\n"
    assert top.text("rev-list", "--all") == ""


@pytest.mark.parametrize("revision", ["HEAD", "main", "refs/heads/main", "{id}", "{short}", "a-tag", "refs/tags/a-tag"])
def test_a_revision_resolves_as_git_says(source: Path, revision: str) -> None:
    git(source, "tag", "--annotate", "--message", "x", "a-tag")
    head = git(source, "rev-parse", "HEAD")
    repository = Repository(source / ".git")
    assert repository.resolve(revision.format(id=head, short=head[:10])) == head


@pytest.mark.parametrize("revision", ["refs/heads/none", "none", "-x", "0" * 40, "refs/heads", "main:README.md"])
def test_a_revision_that_is_no_commit_resolves_to_none(store: Repository, revision: str) -> None:
    assert store.resolve(revision) is None


def test_first_parents_go_back_to_the_given_commit(source: Path, store: Repository) -> None:
    first = head_of(store)
    second, third = commit_all(source, {"x": "1"}), commit_all(source, {"x": "2"})
    store.fetch(str(source), ["+refs/heads/main:refs/heads/main"])
    assert list(store.first_parents(third, until=first)) == [third, second]
    assert list(store.first_parents(third, until=None)) == [third, second, first]
    assert list(store.first_parents(first, until=first)) == []


# --- writing ----------------------------------------------------------------------------------------------------------


def test_a_commit_is_what_git_would_have_written(store: Repository) -> None:
    head = head_of(store)
    message = "Übersicht\n\nBody\n\nPipeline-Run: 1"
    sha = store.commit_tree(
        store.commit(head).tree,
        [head],
        message,
        author="Ada <ada@example.org> 1700000000 +0100",
        committer="Forge <f@example.org> 1700000001 +0000",
    )
    assert store.text("log", "-1", "--format=%P|%an|%ae|%ad|%cn|%ct", "--date=raw", sha) == (
        f"{head}|Ada|ada@example.org|1700000000 +0100|Forge|1700000001"
    )
    assert store.text("log", "-1", "--format=%B", sha) == message
    assert store.commit(sha).author == "Ada <ada@example.org>"
    assert store.commit(sha).authored == "1700000000 +0100"
    store.run("fsck", "--strict")


@pytest.mark.parametrize("author", ["Ada", "Ada <a@b>\nparent x", "<a", "Ada <a@b> yesterday"])
def test_an_author_that_would_break_the_commit_is_refused(store: Repository, author: str) -> None:
    with pytest.raises(GitError, match="NAME <MAIL>"):
        store.commit_tree(store.commit(head_of(store)).tree, [], "x", author=author)


def test_refs_move_together_or_not_at_all(store: Repository) -> None:
    head = head_of(store)
    make = [RefUpdate("refs/heads/a", head, None), RefUpdate("refs/heads/b", head, None)]
    assert store.update_refs(make)
    assert not store.update_refs([RefUpdate("refs/heads/a", None, head), RefUpdate("refs/heads/b", head, None)])
    assert not store.update_refs([RefUpdate("refs/heads/a", None, head), RefUpdate("refs/heads/b", None, "1" * 40)])
    assert not store.update_refs([RefUpdate("refs/heads/a", None, head), RefUpdate("refs/heads/none", None, head)])
    assert not store.update_refs([RefUpdate("refs/heads/a", None, head), RefUpdate("refs/heads/b", "1" * 40, "1" * 40)])
    assert store.resolve("refs/heads/a") == store.resolve("refs/heads/b") == head
    assert store.update_refs([RefUpdate("refs/heads/a", None, head), RefUpdate("refs/heads/b", head, head)])
    assert store.resolve("refs/heads/a") is None


def test_a_ref_below_another_is_an_error_and_not_a_lost_race(store: Repository) -> None:
    with pytest.raises(GitError, match="refs/heads/main"):
        store.update_refs([RefUpdate("refs/heads/main/below", head_of(store), None)])


def test_two_hundred_refs_are_one_transaction(store: Repository) -> None:
    head = head_of(store)
    assert store.update_refs([RefUpdate(f"refs/heads/many/{number}", head, None) for number in range(200)])
    assert len(store.text("for-each-ref", "refs/heads/many").splitlines()) == 200


def test_a_push_moves_a_branch_only_from_where_it_is_expected(tmp_path: Path, store: Repository) -> None:
    head = head_of(store)
    other = store.commit_tree(store.commit(head).tree, [head], "other", author=AUTHOR)
    third = store.commit_tree(store.commit(head).tree, [head], "third", author=AUTHOR)
    target = Repository.create(tmp_path / "target.git")
    url = str(target.git_dir)
    store.push(url, other, "work", expected=None)
    store.push(url, other, "work", expected=None)  # it is there already
    with pytest.raises(GitError, match="stale info"):
        store.push(url, third, "work", expected=None)
    with pytest.raises(GitError, match="stale info"):
        store.push(url, third, "work", expected=head)
    assert target.resolve("refs/heads/work") == other
    store.push(url, third, "work", expected=other)
    assert target.resolve("refs/heads/work") == third


def test_a_repository_made_by_several_at_once_is_made_once(tmp_path: Path) -> None:
    path = tmp_path / "new" / "store.git"
    makers = [threading.Thread(target=Repository.create, args=(path,)) for _ in range(4)]
    for each in makers:
        each.start()
    for each in makers:
        each.join()
    assert Repository(path).text("rev-parse", "--is-bare-repository") == "true"
    assert [each.name for each in path.parent.iterdir()] == ["store.git"]


# --- sources of every kind --------------------------------------------------------------------------------------------


def test_a_shallow_clone_can_be_fetched_borrowed_and_pushed(tmp_path: Path, source: Path) -> None:
    commit_all(source, {"x": "1"})
    tip = commit_all(source, {"x": "2"})
    shallow = tmp_path / "shallow"
    git(tmp_path, "clone", "--quiet", "--depth=1", source.as_uri(), str(shallow))
    mirror = Repository.create(tmp_path / "mirror.git")
    mirror.fetch(str(shallow), ["HEAD:refs/heads/seed"])
    store = Repository.create(tmp_path / "store.git", alternates=[mirror.objects])
    new = store.commit_tree(store.commit(tip).tree, [tip], "new", author=AUTHOR)
    target = Repository.create(tmp_path / "target.git")
    store.push(str(target.git_dir), new, "work", expected=None)
    assert list(target.first_parents(new, until=None)) == [new, tip]
    target.run("fsck", "--strict")


def test_a_detached_commit_that_no_ref_names_can_be_fetched(tmp_path: Path, source: Path) -> None:
    git(source, "checkout", "--quiet", "--detach")
    lonely = commit_all(source, {"x": "1"})
    git(source, "checkout", "--quiet", "main")
    store = Repository.create(tmp_path / "store.git")
    store.fetch(str(source), [lonely])
    assert store.resolve(lonely) == lonely


def test_a_sha256_repository_is_refused_in_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "new"
    path.mkdir()
    git(path, "init", "--quiet", "--object-format=sha256")
    commit_all(path, {"x": "1"})
    with pytest.raises(GitError, match=r"SHA-1 object names\.$"):
        Repository.of_checkout(path)
    with pytest.raises(GitError, match=r"SHA-1 object names\.$"):
        Repository.create(tmp_path / "store.git").fetch(str(path), ["HEAD"])


# --- the user's own repository ----------------------------------------------------------------------------------------


def test_the_users_repository_is_found_from_below(source: Path) -> None:
    found = Repository.of_checkout(source / "src" / "deep")
    assert found is not None
    assert (found.git_dir, found.work_tree) == (source / ".git", source)
    assert found.resolve("HEAD") == git(source, "rev-parse", "HEAD")


def test_a_linked_work_tree_is_a_users_repository_too(tmp_path: Path, source: Path) -> None:
    linked = tmp_path / "linked"
    git(source, "worktree", "add", "--quiet", "-b", "side", str(linked))
    tip = commit_all(linked, {"only-here": "1"})
    found = Repository.of_checkout(linked)
    assert found is not None
    assert found.resolve("HEAD") == tip
    assert found.tree(tip).read("only-here") == b"1"
    assert not found.is_dirty()


def test_a_bare_repository_has_no_work_tree_and_is_not_dirty(tmp_path: Path, source: Path) -> None:
    bare = tmp_path / "bare.git"
    git(tmp_path, "clone", "--quiet", "--bare", str(source), str(bare))
    found = Repository.of_checkout(bare)
    assert found is not None
    assert found.work_tree is None
    assert not found.is_dirty()
    assert found.resolve("HEAD") == git(source, "rev-parse", "HEAD")


def test_no_repository_is_none(tmp_path: Path) -> None:
    assert Repository.of_checkout(tmp_path) is None


def test_dirt_is_seen_without_touching_the_users_index(source: Path) -> None:
    repository = Repository.of_checkout(source)
    assert repository is not None
    os.utime(source / "README.md")  # makes the index stale, which a careless status would refresh
    before = (source / ".git" / "index").read_bytes()
    assert not repository.is_dirty()
    write(source, {"untracked": "1"})
    assert not repository.is_dirty()
    assert repository.is_dirty(untracked=True)
    write(source, {"README.md": "changed\n"})
    assert repository.is_dirty()
    assert (source / ".git" / "index").read_bytes() == before
    assert not (source / ".git" / "index.lock").exists()


# --- surroundings -----------------------------------------------------------------------------------------------------

NONSENSE = {
    "GIT_DIR": "/nonexistent/git-dir",
    "GIT_WORK_TREE": "/nonexistent/work-tree",
    "GIT_INDEX_FILE": "/nonexistent/index",
    "GIT_OBJECT_DIRECTORY": "/nonexistent/objects",
    "GIT_ALTERNATE_OBJECT_DIRECTORIES": "/nonexistent/alternates",
    "GIT_COMMON_DIR": "/nonexistent/common",
    "GIT_NAMESPACE": "elsewhere",
    "GIT_EXEC_PATH": "/nonexistent/exec",
    "GIT_CONFIG_COUNT": "1",
    "GIT_CONFIG_KEY_0": "core.bare",
    "GIT_CONFIG_VALUE_0": "perhaps",
    "GIT_CONFIG_PARAMETERS": "'core.bare=perhaps'",
    "GIT_CONFIG_GLOBAL": "/nonexistent/config",
    "GIT_AUTHOR_DATE": "nonsense",
    "GIT_PREFIX": "nowhere/",
    "GIT_PYTHON_REFRESH": "nonsense",
    "GIT_LITERAL_PATHSPECS": "1",
}


def test_nothing_of_the_users_environment_reaches_git(
    tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    write(home, {".gitconfig": "[core]\n\tbare = perhaps\n", ".config/git/config": "[core\n"})
    trace = tmp_path / "trace"
    for name, value in {**NONSENSE, "HOME": str(home), "GIT_TRACE": str(trace), "GIT_TRACE2": str(trace)}.items():
        monkeypatch.setenv(name, value)
    user = Repository.of_checkout(source)
    assert user is not None
    head = user.resolve("HEAD")
    assert head is not None
    assert not user.is_dirty()
    store = Repository.create(tmp_path / "store.git")
    store.fetch(str(source), [f"{head}:refs/heads/seed"])
    work = Repository(store.git_dir, tmp_path / "work", tmp_path / "work.index")
    work.restore_work_tree(head)
    assert work.write_tree_of_work_tree(head) == store.commit(head).tree
    target = Repository.create(tmp_path / "target.git")
    store.push(str(target.git_dir), head, "work", expected=None)
    assert target.resolve("refs/heads/work") == head
    assert not trace.exists()


def test_it_works_inside_a_real_hook_of_the_repository(tmp_path: Path, source: Path) -> None:
    head = git(source, "rev-parse", "HEAD")
    script = tmp_path / "script.py"
    script.write_text(
        "import pathlib\n"
        "from pytest_pipeline.host.git import Repository\n"
        f"store = Repository.create(pathlib.Path({str(tmp_path / 'store.git')!r}))\n"
        f"store.fetch({str(source)!r}, ['HEAD:refs/heads/seed'])\n"
        "print(store.resolve('refs/heads/seed'))\n"
    )
    hook = source / ".git" / "hooks" / "pre-commit"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\nPYTHONPATH={Path.cwd()} exec {sys.executable} {script} >{tmp_path}/seen\n")
    hook.chmod(0o755)
    commit_all(source, {"x": "1"})
    assert (tmp_path / "seen").read_text().strip() == head


def test_hooks_of_the_source_and_of_the_target_do_not_run(tmp_path: Path, source: Path) -> None:
    canary = tmp_path / "canary"
    target = Repository.create(tmp_path / "target.git")
    store = Repository.create(tmp_path / "store.git")
    for git_dir in (source / ".git", target.git_dir, store.git_dir):
        for name in ("pre-push", "pre-receive", "update", "post-receive", "reference-transaction", "post-checkout"):
            hook = git_dir / "hooks" / name
            hook.parent.mkdir(exist_ok=True)
            hook.write_text(f"#!/bin/sh\ntouch {canary}\n")
            hook.chmod(0o755)
    store.fetch(str(source), ["HEAD:refs/heads/seed"])
    head = store.resolve("refs/heads/seed")
    assert head is not None
    store.push(str(target.git_dir), head, "work", expected=None)
    assert target.update_refs([RefUpdate("refs/heads/work", None, head)])
    assert not canary.exists()
    git(source, "push", "--quiet", str(target.git_dir), "main")
    assert canary.exists(), "the hooks of this test do nothing"


def test_the_configuration_of_a_repository_runs_nothing(tmp_path: Path, source: Path) -> None:
    canary = tmp_path / "canary"
    hook = tmp_path / "hooks" / "reference-transaction"
    write(tmp_path, {"hooks/reference-transaction": f"#!/bin/sh\ntouch {canary}\n"})
    hook.chmod(0o755)
    git(source, "config", "core.fsmonitor", f"touch {canary}; false")
    git(source, "config", "core.hooksPath", str(hook.parent))
    repository = Repository.of_checkout(source)
    assert repository is not None
    assert not repository.is_dirty()
    head = repository.resolve("HEAD")
    assert repository.update_refs([RefUpdate("refs/heads/new", head, None)])
    assert not canary.exists()
    git(source, "status")
    assert canary.exists(), "the traps of this test do nothing"


def test_reading_objects_starts_no_process_and_imports_no_gitpython(store: Repository) -> None:
    head = head_of(store)
    code = (
        "import pathlib, subprocess, sys\n"
        "from pytest_pipeline.host.git import Repository\n"
        "subprocess.Popen = None\n"
        f"store = Repository(pathlib.Path({str(store.git_dir)!r}))\n"
        f"tree = store.tree({head!r})\n"
        "commit = store.commit_tree(tree.sha, [], 'x', author='A <a@b>')\n"
        "print(len(tree.entries()), len(store.changes(commit, tree.sha)), 'git' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.split() == ["3", "0", "False"], done.stderr
