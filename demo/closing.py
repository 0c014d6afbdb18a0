"""Which issues a merge request closes, by GitLab's default pattern, and how people write it down.

GitLab looks at title, description and commit messages as raw text, code spans included; only a merge into the
default branch closes anything.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from random import Random

from demo.entities import Issue, MergeRequest, Project

SITE = "https://gitlab.example.org"  # in texts; answers name the address at which the server is reached
_REFERENCE = r"(?:https?://[^\s>]{1,300}(?<![?!.,:])|(?:[A-Za-z0-9_][\w./-]*)?\#[0-9]+)"
_WORD = "[Cc]los(?:e[sd]?|ing) | [Ff]ix(?:e[sd]|ing)? | [Rr]esolv(?:e[sd]?|ing) | [Ii]mplement(?:s|ed|ing)?"
_STATEMENT = re.compile(
    rf"\b(?:{_WORD}) :?[ ]+ (?: (?:issues?[ ]+)? {_REFERENCE} (?: [ ]*,?[ ]+and[ ]+ | [ ]*,?[ ]* ) )+",
    re.VERBOSE,
)
_ONE = re.compile(
    rf"{re.escape(SITE)}/(?P<site>[\w./-]+?)(?:/-)?/issues/(?P<number>\d+)"
    r"|(?P<path>[A-Za-z0-9_][\w./-]*)?#(?P<iid>\d+)"
)
OLD = 6  # issues of every project that were there before history begins: the first numbers
Find = Callable[[str], Project | None]

FORMS = {  # of one open issue `a` and another, `b`; `old` and `far` were there before history begins
    "Closes #{a}": 40, "Fixes #{a}.": 8, "closes: #{a}": 3, "Resolves issue #{a}": 4, "Implementing #{a}": 2,
    "Closes #{a}, #{b}, related to #{old}": 3, "Fix {path}#{a} and #{b}": 5, "Closed {name}#{a}": 1,
    "Resolve {site}/{path}/-/issues/{a}": 4, "Closes #{old}": 1, "Closes {far}#{old}": 1,
    "Fixes {site}/{far}/-/issues/{old}": 1, "Related to #{a}": 8, "Prepares for {path}#{a}, fixes nothing": 4,
    "Closes `#{a}`": 2, "`Closes #{a}`": 1,
}  # fmt: skip


def wording(rng: Random, project: Project, able: list[Issue], far: Project | None) -> str:
    """What someone writes of issues. `able`: open ones here; `far`: a project that has old ones."""
    form = rng.choices(list(FORMS), list(FORMS.values()))[0]
    if far is None and "{far}" in form:
        form = "Closes #{a}"
    one, other = rng.choice(able), rng.choice(able)
    place = far.path if far else ""
    return form.format(
        a=one.iid, b=other.iid, old=rng.randint(1, OLD), path=project.path, name=project.name, far=place,
        site=SITE,
    )  # fmt: skip


def closed_by(made: MergeRequest, find: Find) -> list[Issue]:
    """The issues that the merge request closes when it is merged as it is now."""
    project = made.project
    if made.target_branch != project.default_branch or not project.issues_on:
        return []
    texts = [made.title, made.description, *(commit.message for commit in made.commits)]
    found: dict[Issue, None] = {}
    for statement in _STATEMENT.finditer("\n".join(texts)):
        for path, iid in _named(statement[0]):
            place = _at(project, path, find)
            if place and (issue := place.by_iid.get(("issue", iid))):
                found[issue] = None
    return list(found)


def _named(statement: str) -> Iterable[tuple[str, int]]:
    for one in _ONE.finditer(statement):
        yield one["site"] or one["path"] or "", int(one["number"] or one["iid"])


def _at(project: Project, path: str, find: Find) -> Project | None:
    """A name without a group is a neighbour in the same group."""
    if not path:
        return project
    return find(path if "/" in path else f"{project.group.full_path}/{path}")
