"""File names that tools outside of the jail trust: they execute or believe files with these names without being asked to.

A name is in the list if a tool acts on it by itself: when a folder is opened, entered, inspected or searched upward from, when a file in it is
opened, or when the tool starts. Files that run only because a person says so (scripts, notebooks, tests, a Makefile, `npm run`) are not in it,
because they can have any name. The following are not in it either, although some tools read them by themselves, because data projects write
them every day: `pyproject.toml`, `setup.cfg`, `package.json`, `requirements.txt`, `Makefile`, `Dockerfile`, `.gitignore`,
`.ipynb_checkpoints`, `.cache`, `.config`, `.local`. `AGENT_SEALED_NAMES` adds to the list.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterable
from dataclasses import dataclass


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


@dataclass(frozen=True)
class NameGroup:
    """Names that are trusted for the same reason. A pattern may contain `*`, `?` and `[…]`; case is ignored."""

    title: str
    """The tools that trust them, as in "`.git` is trusted by `title`"."""
    reason: str
    patterns: tuple[str, ...]


GROUPS = (
    NameGroup(
        "git and other version control",
        "its configuration and hooks name programs, which git runs whenever an editor or a prompt asks for the state of a folder",
        _words("""
        .git .gitmodules .gitattributes .gitconfig .hg .hgrc .svn .jj .bzr _darcs .sl .pijul
        """),
    ),
    NameGroup(
        "editors",
        "they read settings, tasks and interpreters from it when the folder is opened",
        _words("""
        .vscode *.code-workspace .idea *.iml *.ipr .fleet .zed .nova .theia .settings .project .classpath *.sublime-project
        *.sublime-workspace .helix .kakrc .vimrc _vimrc .gvimrc .lvimrc .exrc .vim .nvimrc .nvim.lua .nvim .emacs .emacs.d
        .dir-locals.el .dir-locals-2.el .editorconfig .luarc.json .luarc.jsonc
        """),
    ),
    NameGroup(
        "shells and environment managers",
        "it is read or run when a shell enters the folder, or starts with the workspace as home",
        _words("""
        .envrc .env .env.local .direnv .autoenv .autoenv.zsh devbox.json flake.nix shell.nix .python-version .ruby-version
        .node-version .nvmrc .tool-versions .sdkmanrc mise.toml .mise.toml mise.*.toml .mise.*.toml .mise .rtx.toml .bashrc
        .bash_profile .bash_login .bash_logout .bash_aliases .profile .inputrc .zshrc .zshenv .zprofile .zlogin .zlogout .kshrc
        .cshrc .tcshrc .login .xonshrc .ssh .gnupg .netrc .curlrc .wgetrc .screenrc .tmux.conf .xprofile .xinitrc
        """),
    ),
    NameGroup(
        "Python and its tools",
        "interpreters that an editor looks for and runs, and files that an interpreter or a tool runs when it starts",
        _words("""
        .venv venv .virtualenv .conda .condarc sitecustomize.py usercustomize.py conftest.py pytest.ini noxfile.py .pdbrc
        .pdbrc.py .pythonrc .pythonrc.py .pypirc pip.conf .pylintrc pylintrc .pylintrc.toml pylintrc.toml .flake8 mypy.ini
        .mypy.ini pyrightconfig.json .ipython .jupyter ipython_config.py ipython_kernel_config.py jupyter_*config.py
        jupyter_*config.json
        """),
    ),
    NameGroup(
        "hooks and continuous integration",
        "it names programs that run at the next commit, or on a server after the next push",
        _words("""
        .husky .githooks .git-hooks .pre-commit-config.yaml .pre-commit-config.yml .pre-commit-hooks.yaml lefthook.* .lefthook.*
        lefthook-local.* .lefthook .overcommit.yml .lintstagedrc* .github .gitlab .gitlab-ci.yml .circleci .travis.yml .forgejo
        .gitea .woodpecker*
        """),
    ),
    NameGroup(
        "container and cloud workbenches",
        "they run the commands in it when the folder is opened",
        _words("""
        .devcontainer .devcontainer.json .gitpod.yml .gitpod.dockerfile .replit devfile.yaml .devfile.yaml
        """),
    ),
    NameGroup(
        "JavaScript tools",
        "linters, formatters and package managers run it as code when a file beside or below it is opened",
        _words("""
        .eslintrc* .prettierrc* .stylelintrc* .babelrc* .swcrc .postcssrc* .mocharc* .commitlintrc* *.config.js *.config.cjs
        *.config.mjs *.config.ts *.config.cts *.config.mts .npmrc .yarnrc .yarnrc.yml .yarn .pnpmfile.cjs .pnp.cjs .pnp.loader.mjs
        bunfig.toml node_modules .markdownlint*
        """),
    ),
    NameGroup(
        "language servers and build tools",
        "they run what it says when a file beside or below it is opened",
        _words("""
        .cargo cargo.toml build.rs rust-toolchain rust-toolchain.toml .rustfmt.toml .clangd .ccls build.gradle* settings.gradle*
        init.gradle* gradle-wrapper.properties .mvn .bsp build.sbt cmakelists.txt cmakepresets.json cmakeuserpresets.json .bazelrc
        .bazelproject hie.yaml mix.exs .rubocop.yml .solargraph.yml gemfile .bundle .irbrc .pryrc .ghci .perltidyrc .ocamlinit
        """),
    ),
    NameGroup(
        "R, Julia and debuggers",
        "it runs when one of them starts in the folder",
        _words("""
        .rprofile .renviron .rdata *.rproj .rproj.user .julia .gdbinit .lldbinit .gdbearlyinit
        """),
    ),
    NameGroup(
        "coding agents",
        "it names programs that an agent outside starts, or instructions that it follows",
        _words("""
        .mcp.json mcp.json .claude .claude.json .cursor .cursorrules .windsurf .windsurfrules .codex .gemini .continue .roo
        .roorules .cline .clinerules .aider* .opencode .amazonq agents.md agents.override.md claude.md claude.local.md gemini.md
        """),
    ),
)

OWN_GROUP = NameGroup("the names that AGENT_SEALED_NAMES adds", "the settings say that tools outside trust it", ())

QUARANTINE_PREFIX = ".analystd-quarantine-"
"""Prefix of the new names of items that were moved aside but cannot leave the workspace's disk."""

_QUARANTINE = NameGroup("analystd", "it keeps there what it moved aside", (QUARANTINE_PREFIX + "*",))

_VERSION_CONTROL, _PYTHON = GROUPS[0], GROUPS[3]

_FOLDERS_OF_PROGRAMS = ("bin", "scripts")
_INTERPRETERS = ("python", "pypy")
_INTERPRETER = re.compile(r"(python|pypy)w?[0-9.]*(\.exe)?")

_WILD = re.compile(r"[*?[]")
_END = 2

_REPOSITORY_PARTS = frozenset(
    ("head", "config", "config.worktree", "hooks", "info", "commondir", "worktrees", "modules", "objects", "refs")
)
_ENVIRONMENT_PARTS = frozenset(("pyvenv.cfg", "conda-meta", "bin", "lib", "lib64", "scripts"))
_ENVIRONMENT_MARKS = ("pyvenv.cfg", "conda-meta")


class TrustedNames:
    """The trusted names, including those that the settings add."""

    def __init__(self, added: Iterable[str] = ()) -> None:
        self.added = tuple(added)
        groups = [*GROUPS, _QUARANTINE, NameGroup(OWN_GROUP.title, OWN_GROUP.reason, self.added)]
        patterns = {pattern.casefold(): group for group in groups for pattern in group.patterns}
        self._exact = {pattern: group for pattern, group in patterns.items() if not _WILD.search(pattern)}
        self._wild = [
            (re.compile(fnmatch.translate(pattern)), group)
            for pattern, group in patterns.items()
            if _WILD.search(pattern)
        ]
        # Hundreds of thousands of names are checked: the first and last characters rule out nearly all of them without a regular expression.
        ends = [_literal_ends(pattern) for pattern in patterns if _WILD.search(pattern)]
        self._heads = {head for head, _ in ends if head}
        self._tails = {tail for head, tail in ends if tail and not head}
        self._always = any(not head and not tail for head, tail in ends)

    def group(self, name: str, folder: str = "") -> NameGroup | None:
        """Return the group of a name in a folder (given by its own name), or None for an untrusted name."""
        folded = name.casefold()
        if (group := self._exact.get(folded)) is not None:
            return group
        may_fit = folded[:_END] in self._heads or folded[-_END:] in self._tails or self._always
        if may_fit and (fitting := [group for pattern, group in self._wild if pattern.match(folded)]):
            return fitting[0]
        if folded.startswith(_INTERPRETERS) and folder.casefold() in _FOLDERS_OF_PROGRAMS:
            return _PYTHON if _INTERPRETER.fullmatch(folded) else None
        return None

    def first_in(self, path: str) -> tuple[str, NameGroup] | None:
        """Return the first trusted name in a relative path, with its group."""
        folder = ""
        for name in path.split("/"):
            if (group := self.group(name, folder)) is not None:
                return name, group
            folder = name
        return None


class FolderShape:
    """Detect from the names in a folder whether tools treat it as a git repository (without `.git`) or a Python environment.

    git treats any folder with `HEAD`, `objects` and `refs` as a repository, and an editor runs the interpreter of any environment.
    """

    def __init__(self) -> None:
        self._names: dict[str, str] = {}

    @staticmethod
    def is_part(name: str) -> bool:
        """Return whether a name can contribute to making its folder a repository or an environment."""
        folded = name.casefold()
        return folded in _REPOSITORY_PARTS or folded in _ENVIRONMENT_PARTS

    def add(self, name: str) -> None:
        """Record a name that is in the folder."""
        if self.is_part(name):
            self._names[name.casefold()] = name

    def mark(self) -> tuple[str, NameGroup] | None:
        """Return the name, with its group, that makes the folder a repository or an environment; None if it is neither."""
        if "head" in self._names and ("commondir" in self._names or {"objects", "refs"} <= self._names.keys()):
            return self._names["head"], _VERSION_CONTROL
        for mark in _ENVIRONMENT_MARKS:
            if mark in self._names:
                return self._names[mark], _PYTHON
        return None

    def parts(self) -> list[str]:
        """Return the names in it that tools execute or believe, for a folder that cannot be sealed as a whole."""
        mark = self.mark()
        own = _REPOSITORY_PARTS if mark is not None and mark[1] is _VERSION_CONTROL else _ENVIRONMENT_PARTS
        return [name for folded, name in self._names.items() if folded in own]


def _literal_ends(pattern: str) -> tuple[str, str]:
    """Return the first two and last two characters of a pattern; empty where they are not literal."""
    head, tail = _WILD.split(pattern)[0][:_END], re.split(r"[*?\]]", pattern)[-1][-_END:]
    return head if len(head) == _END else "", tail if len(tail) == _END else ""
