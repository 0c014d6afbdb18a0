"""People, groups and projects as GitLab's REST answers, and how answers are kept."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from demo.entities import Group, Project, User
from demo.projects import project_fields
from demo.times import iso
from demo.world import World

encode = msgspec.json.Encoder().encode
Raw = msgspec.Raw


def kept(make: Callable[[Any, Any], dict[str, Any]]) -> Callable[[Any, Any], Any]:
    """Encode once; `entity.json` is emptied by whoever changes the entity."""

    def cached(self: Any, entity: Any) -> Any:
        if entity.json is None:
            entity.json = Raw(encode(make(self, entity)))
        return entity.json

    return cached


class CompanyAnswers:
    """`url`: where the server is reached. `premium`: whether it tells what a paid tier tells."""

    def __init__(self, world: World, *, url: str, premium: bool) -> None:
        self.world, self.url, self.premium = world, url, premium
        self._users: dict[int, Raw] = {}

    def web(self, project: Project) -> str:
        """The address of the project's page."""
        return f"{self.url}/{project.path}"

    def user(self, user: User | None) -> Any:
        """As embedded in other answers: no bot flag, no address."""
        if user is None:
            return None
        if (found := self._users.get(user.id)) is None:
            found = self._users[user.id] = Raw(encode(self._user(user)))
        return found

    def _user(self, user: User) -> dict[str, Any]:
        return {
            "id": user.id, "username": user.username, "name": user.name, "state": user.state, "locked": False,
            "avatar_url": f"https://secure.gravatar.com/avatar/{user.id:032x}?s=80&d=identicon",
            "web_url": f"{self.url}/{user.username}",
        }  # fmt: skip

    def user_detail(self, user: User) -> dict[str, Any]:
        """A single user: here GitLab says who is a bot."""
        return {
            **self._user(user), "created_at": iso(self.world.start), "bio": "", "location": None,
            "public_email": None,
            "bot": user.bot, "followers": 0, "following": 0, "job_title": "", "organization": None,
            "website_url": "", "linkedin": "", "twitter": "", "skype": "",
        }  # fmt: skip

    def group(self, group: Group) -> dict[str, Any]:
        parents = []
        at: Group | None = group
        while at:
            parents.append(at.name)
            at = at.parent
        return {
            "id": group.id, "name": group.name, "path": group.path, "full_path": group.full_path,
            "full_name": " / ".join(reversed(parents)),
            "parent_id": group.parent.id if group.parent else None,
            "web_url": f"{self.url}/groups/{group.full_path}", "visibility": "private", "description": "",
            "avatar_url": None, "created_at": iso(self.world.start), "marked_for_deletion_on": None,
            "request_access_enabled": True, "lfs_enabled": True, "default_branch_protection": 2,
        }  # fmt: skip

    @kept
    def project(self, project: Project) -> dict[str, Any]:
        return project_fields(project, web=self.web(project), url=self.url)
