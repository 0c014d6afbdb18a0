"""The org file: read, checked as a whole, brought into the database, written back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from apps.orgmap.errors import OrgFileInvalid
from apps.orgmap.rules import flatten, plain

Blocks = dict[str, Any]
LEVELS = {"business_lines": "business_line", "teams": "team", "repos": "repo"}


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid")


class TeamPart(_Part):
    name: str = Field(min_length=1, max_length=200)
    owner: str = Field(default="", max_length=200)
    groups: list[str] = []
    projects: list[str] = []


class LinePart(_Part):
    name: str = Field(min_length=1, max_length=200)
    owner: str = Field(default="", max_length=200)
    groups: list[str] = []
    teams: list[TeamPart] = []


class RulesPart(_Part):
    default: Blocks = {}
    business_lines: dict[str, Blocks | None] = {}
    teams: dict[str, Blocks | None] = {}
    repos: dict[str, Blocks | None] = {}


class OrgFile(_Part):
    """The whole file, as INTERFACES.md gives it."""

    org: str = Field(min_length=1, max_length=200)
    business_lines: list[LinePart] = Field(min_length=1)
    root_groups: list[str] = Field(min_length=1)
    bots: list[str] = []
    rules: RulesPart = RulesPart()

    def overrides(self) -> dict[tuple[str, str], dict[str, Any]]:
        """Per (level, target) the rules that the file sets, as JSON values."""
        named = {("default", ""): self.rules.default}
        for section, level in LEVELS.items():
            named |= {
                (level, target): blocks or {} for target, blocks in getattr(self.rules, section).items()
            }
        return {target: plain(flatten(blocks)) for target, blocks in named.items() if blocks}

    def claims(self) -> Iterator[tuple[tuple[str | int, ...], str]]:
        """Every path that somebody claims, with its place in the file."""
        for at, line in enumerate(self.business_lines):
            yield from _listed(("business_lines", at, "groups"), line.groups)
            for nth, team in enumerate(line.teams):
                yield from _listed(("business_lines", at, "teams", nth, "groups"), team.groups)
                yield from _listed(("business_lines", at, "teams", nth, "projects"), team.projects)


def _listed(where: tuple[str | int, ...], paths: list[str]) -> Iterator[tuple[tuple[str | int, ...], str]]:
    yield from (((*where, nth), path) for nth, path in enumerate(paths))


def read(path: str | Path) -> OrgFile:
    """The checked org file. Raises OrgFileInvalid with every mistake and its line."""
    try:
        text = Path(path).read_text(encoding="utf-8")
        tree = yaml.compose(text, Loader=yaml.SafeLoader)
        content = yaml.safe_load(text)
    except (OSError, UnicodeDecodeError) as wrong:
        raise OrgFileInvalid(
            str(path),
            [f"it cannot be read ({wrong.__class__.__name__}); set TEM_ORG_FILE to a file that can"],
        ) from None
    except yaml.YAMLError as wrong:
        raise OrgFileInvalid(str(path), [f"it is no YAML: {' '.join(str(wrong).split())}"]) from None
    try:
        found = OrgFile.model_validate(content)
    except ValidationError as wrong:
        raise OrgFileInvalid(str(path), [_told(tree, e["loc"], e["msg"]) for e in wrong.errors()]) from None
    if problems := list(_problems(found, tree)):
        raise OrgFileInvalid(str(path), problems)
    return found


def _problems(found: OrgFile, tree: yaml.Node | None) -> Iterator[str]:
    yield from _doubled(tree, found.claims(), "is claimed twice; a path has one owner")
    teams = [
        (("business_lines", at, "teams", nth, "name"), team.name)
        for at, line in enumerate(found.business_lines)
        for nth, team in enumerate(line.teams)
    ]
    yield from _doubled(tree, teams, "is the name of two teams; names of teams are unique in the org")
    lines = [(("business_lines", at, "name"), line.name) for at, line in enumerate(found.business_lines)]
    yield from _doubled(tree, lines, "is the name of two business lines")
    known = {"business_lines": {name for _, name in lines}, "teams": {name for _, name in teams}}
    for section, names in known.items():
        for target in getattr(found.rules, section):
            if target not in names:
                yield _told(
                    tree, ("rules", section, target), "rules for a name that the file does not define"
                )
    yield from _wrong_rules(found, tree)


def _doubled(tree: yaml.Node | None, named: Any, complaint: str) -> Iterator[str]:
    seen: set[str] = set()
    for where, name in named:
        if name in seen:
            yield _told(tree, where, f"{name} {complaint}")
        seen.add(name)


def _wrong_rules(found: OrgFile, tree: yaml.Node | None) -> Iterator[str]:
    named: list[tuple[tuple[str, ...], Blocks | None]] = [(("rules", "default"), found.rules.default)]
    for section in LEVELS:
        named += [
            (("rules", section, target), blocks) for target, blocks in getattr(found.rules, section).items()
        ]
    for where, blocks in named:
        try:
            plain(flatten(blocks or {}))
        except ValidationError as wrong:
            for error in wrong.errors():
                rule = str(error["loc"][0])
                yield _told(tree, (*where, *rule.split("_", 1)), error["msg"])


def _told(tree: yaml.Node | None, where: tuple[str | int, ...], what: str) -> str:
    path = ".".join(str(part) for part in where)
    return f"line {_line(tree, where)}: {path}: {what}" if tree is not None else what


def _line(node: yaml.Node | None, where: tuple[str | int, ...]) -> int:
    """The line of the deepest part of `where` that exists, counted from 1."""
    line = node.start_mark.line + 1 if node is not None else 1
    for part in where:
        found = _child(node, part)
        if found is None:
            break
        key, node = found
        line = key.start_mark.line + 1
    return line


def _child(node: yaml.Node | None, part: str | int) -> tuple[yaml.Node, yaml.Node] | None:
    if isinstance(node, yaml.MappingNode):
        return next(((k, v) for k, v in node.value if k.value == str(part)), None)
    if isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
        return node.value[part], node.value[part]
    return None


def write(content: Mapping[str, Any]) -> str:
    """The org file's text for content of its own form."""
    return yaml.safe_dump(dict(content), sort_keys=False, allow_unicode=True, width=120)
