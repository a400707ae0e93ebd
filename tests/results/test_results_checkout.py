"""Commit and difference of a checkout are read whatever its repository would have git run."""

import os
import subprocess
from pathlib import Path

import pytest

from al_bench.results.checkout import MOST, Checkout, Unreadable

AUTHOR = ("-c", "user.email=a@b", "-c", "user.name=n", "-c", "protocol.file.allow=always")


def git(folder, *arguments):
    environment = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    command = ["git", "-C", str(folder), *AUTHOR, *arguments]
    done = subprocess.run(command, check=True, env=environment, capture_output=True)
    return done.stdout.decode().strip()


@pytest.fixture
def repository(tmp_path):
    return committed(tmp_path / "repository")


def committed(folder, *options):
    folder.mkdir()
    git(folder, "init", "-q", *options)
    (folder / "mine.py").write_text("one\ntwo\nthree\n")
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "first")
    return folder


def difference(path):
    return Checkout.around(path).difference({path: path.read_bytes()})


def test_only_the_files_named_are_compared(repository):
    (repository / "beside.py").write_text("TOKEN = 1")
    git(repository, "add", "-A")
    git(repository, "commit", "-qm", "second")
    (repository / "beside.py").write_text("TOKEN = 2")
    mine = repository / "mine.py"
    assert difference(mine) == ""
    mine.write_text("one\n2\nthree\n")
    assert Checkout.around(mine).commit == git(repository, "rev-parse", "HEAD")
    assert difference(mine).split("\n") == [
        "--- a/mine.py",
        "+++ b/mine.py",
        "@@ -1,3 +1,3 @@",
        " one",
        "-two",
        "+2",
        " three",
    ]


def traps(repository, mark):
    """Everything by which a repository has git run programs, each of which leaves the mark."""
    program = repository.parent / "program"
    program.write_text(f"#!/bin/sh\ntouch {mark}\ncat\n")
    program.chmod(0o755)
    (repository / ".gitattributes").write_text("*.py filter=x diff=x merge=x\n")
    (repository / "included").write_text(f"[core]\n\tfsmonitor = {program}\n")
    hooks = repository / "hooks"
    hooks.mkdir()
    for name in ("post-index-change", "pre-auto-gc", "post-checkout", "reference-transaction"):
        (hooks / name).symlink_to(program)
    for key, value in {
        "core.fsmonitor": program,
        "core.hooksPath": hooks,
        "core.sshCommand": program,
        "core.gitProxy": program,
        "core.pager": program,
        "core.editor": program,
        "core.askPass": program,
        "core.alternateRefsCommand": program,
        "credential.helper": f"!{program}",
        "diff.external": program,
        "diff.x.textconv": program,
        "diff.x.command": program,
        "filter.x.clean": program,
        "filter.x.smudge": program,
        "filter.x.process": program,
        "filter.x.required": "true",
        "include.path": repository / "included",
        "alias.cat-file": f"!{program}",
        "alias.ls-tree": f"!{program}",
        "pager.ls-tree": program,
        "gpg.program": program,
        "log.showSignature": "true",
        "extensions.partialClone": "origin",
        "remote.origin.promisor": "true",
        "remote.origin.url": f"ext::{program}",
        "remote.origin.uploadpack": program,
        "protocol.allow": "always",
        "uploadpack.packObjectsHook": program,
    }.items():
        git(repository, "config", key, str(value))
    git(repository, "config", "core.repositoryFormatVersion", "1")


def missing_object(repository):
    """Take away what was committed, as in a partial clone."""
    blob = git(repository, "rev-parse", "HEAD:mine.py")
    path = repository / ".git" / "objects" / blob[:2] / blob[2:]
    path.chmod(0o644)
    path.unlink()


@pytest.mark.promise("A repository runs nothing")
@pytest.mark.parametrize("is_partial", [False, True])
def test_no_program_of_the_repository_is_run(repository, monkeypatch, is_partial):
    mark = repository.parent / "run"
    if is_partial:
        missing_object(repository)
    traps(repository, mark)
    program = str(repository.parent / "program")
    for name in ("EXTERNAL_DIFF", "SSH", "SSH_COMMAND", "PAGER", "ASKPASS", "PROXY_COMMAND"):
        monkeypatch.setenv(f"GIT_{name}", program)
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", "core.fsmonitor")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", program)
    monkeypatch.setenv("GIT_TRACE", str(mark))
    monkeypatch.setenv("GIT_DIR", str(repository / "nowhere"))
    (repository / "git").symlink_to(program)
    monkeypatch.chdir(repository)
    monkeypatch.setenv("PATH", f".:{os.pathsep}{os.environ['PATH']}")
    before = {
        path: path.read_bytes() for path in (repository / ".git").rglob("*") if path.is_file()
    }
    (repository / "mine.py").write_text("one\n2\nthree\n")
    said = difference(repository / "mine.py")
    assert said.startswith("Changed: mine.py differs (sha256 " if is_partial else "--- a/mine.py\n")
    assert not mark.exists()
    after = {path: path.read_bytes() for path in (repository / ".git").rglob("*") if path.is_file()}
    assert after == before


@pytest.mark.parametrize("kind", ["worktree", "submodule", "detached", "packed", "sha256", "tag"])
def test_the_commit_is_found_however_it_is_kept(tmp_path, repository, kind):
    place = repository
    if kind == "worktree":
        place = tmp_path / "second"
        git(repository, "worktree", "add", "-q", "-b", "other", str(place))
    elif kind == "submodule":
        outer = committed(tmp_path / "outer")
        git(outer, "submodule", "--quiet", "add", str(repository), "inner")
        place = outer / "inner"
    elif kind == "detached":
        git(repository, "checkout", "-q", "--detach")
    elif kind == "packed":
        git(repository, "gc", "-q")
    elif kind == "sha256":
        place = committed(tmp_path / "long", "--object-format=sha256")
    else:
        git(repository, "tag", "-a", "v1", "-m", "x")
        git(repository, "checkout", "-q", "v1")
    mine = place / "mine.py"
    assert Checkout.around(mine).commit == git(place, "rev-parse", "HEAD")
    assert difference(mine) == ""
    mine.write_text("one\ntwo\n")
    assert difference(mine).endswith(" one\n two\n-three")


def test_what_cannot_be_compared_is_named(repository):
    mine = repository / "mine.py"
    for content in (b"one\0two", b"x" * (MOST + 1)):
        mine.write_bytes(content)
        assert difference(mine).startswith("Changed: mine.py differs (sha256 ")
    mine.write_bytes(b"one\ntw\xf6\nthree")
    said = difference(mine).encode("utf-8", "surrogateescape")
    assert said.endswith(b"-two\n-three\n+tw\xf6\n+three\n\\ No newline at end of file")
    mine.write_bytes(b"one\r\ntwo\r\nthree\r\n")  # as git may have written it on Windows
    assert difference(mine) == ""
    new = repository / "n\u00fc w.py"
    new.write_text("SECRET = 1")
    assert difference(new).startswith("Not in the commit: n\u00fc w.py (sha256 ")


def test_many_changed_lines_are_told_without_matching_them(repository):
    mine = repository / "mine.py"
    mine.write_text("".join(f"{number}\n" for number in range(9000)))
    git(repository, "commit", "-qam", "long")
    mine.write_text("".join(f"{number}\n" for number in range(9000, 0, -1)))
    assert difference(mine).count("\n") == 18002


def test_odd_repositories_are_none(tmp_path):
    mine = tmp_path / "mine.py"
    mine.write_text("one")
    assert Checkout.around(mine) is None
    (tmp_path / ".git").write_text("gitdir: nowhere")
    assert Checkout.around(mine) is None
    (tmp_path / ".git").unlink()
    git(tmp_path, "init", "-q")
    assert Checkout.around(mine).commit == ""
    assert difference(mine).startswith("Not in the commit: mine.py")
    head = tmp_path / ".git" / "HEAD"
    head.write_text("ref: refs/../../mine.py")
    assert Checkout.around(mine).commit == ""
    head.unlink()
    os.mkfifo(head)  # must not be waited for
    assert Checkout.around(mine).commit == ""
    head.unlink()
    head.write_text("0" * 40)
    with pytest.raises(Unreadable):
        difference(mine)


def test_a_bare_repository_around_is_no_checkout(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q", "--bare", "bare.git")
    mine = tmp_path / "bare.git" / "mine.py"
    mine.write_text("one")
    assert Checkout.around(mine) is None
