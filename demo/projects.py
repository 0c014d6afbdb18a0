"""The project as REST shows it; long enough for a room of its own."""

from __future__ import annotations

from typing import Any

from demo.entities import Project
from demo.times import iso


def project_fields(project: Project, *, web: str, url: str) -> dict[str, Any]:
    """All keys of a full (not simple) project that a reader may want."""
    group = project.group
    names = [group.name]
    while group.parent:
        group = group.parent
        names.append(group.name)
    fields = {
        "id": project.id, "description": None, "name": project.name,
        "name_with_namespace": " / ".join([*reversed(names), project.name]), "path": project.name,
        "path_with_namespace": project.path, "created_at": iso(project.created),
        "default_branch": project.default_branch, "tag_list": [], "topics": [],
        "ssh_url_to_repo": f"git@gitlab.example.org:{project.path}.git", "http_url_to_repo": f"{web}.git",
        "web_url": web, "readme_url": None, "forks_count": 0, "avatar_url": None, "star_count": 0,
        "last_activity_at": iso(project.activity), "namespace": _namespace(project, url),
        "visibility": project.visibility,
        "empty_repo": project.empty, "archived": project.archived, "owner": None,
        "resolve_outdated_diff_discussions": False, "updated_at": iso(project.activity),
        "creator_id": project.team[0].id, "import_status": "none", "open_issues_count": 0,
        "lfs_enabled": True,
        "shared_runners_enabled": True, "ci_default_git_depth": 20, "public_jobs": True,
        "shared_with_groups": [
            {"group_full_path": path, "group_access_level": 30, "expires_at": None}
            for path in project.shared_with
        ],
        "marked_for_deletion_at": project.pending_deletion,
        "marked_for_deletion_on": project.pending_deletion,
        "remove_source_branch_after_merge": True, "autoclose_referenced_issues": True,
        "only_allow_merge_if_pipeline_succeeds": False, "merge_method": project.habits.merge_method,
        "squash_option": "default_off", "approvals_before_merge": 0,
    }  # fmt: skip
    if project.fork_of and project.group.kind == "user":
        fields["forked_from_project"] = {
            "id": project.fork_of.id,
            "path_with_namespace": project.fork_of.path,
        }
    return fields | _features(project)


def _namespace(project: Project, url: str) -> dict[str, Any]:
    group = project.group
    return {
        "id": group.id, "name": group.name, "path": group.path, "kind": group.kind,
        "full_path": group.full_path,
        "parent_id": group.parent.id if group.parent else None, "avatar_url": None,
        "web_url": f"{url}/groups/{group.full_path}",
    }  # fmt: skip


def _features(project: Project) -> dict[str, Any]:
    def level(on: bool) -> str:
        return "enabled" if on else "disabled"

    return {
        "repository_access_level": "enabled", "issues_enabled": project.issues_on,
        "issues_access_level": level(project.issues_on), "merge_requests_enabled": project.merge_requests_on,
        "merge_requests_access_level": level(project.merge_requests_on), "jobs_enabled": project.builds_on,
        "builds_access_level": level(project.builds_on), "wiki_enabled": True, "snippets_enabled": True,
        "environments_access_level": "enabled", "releases_access_level": "enabled",
    }  # fmt: skip
