"""What paths, queries and refusals need to know of a project that is to be read."""

from __future__ import annotations

from apps.collector.models import Project
from apps.collector.reading import Place


def place_of(project: Project) -> Place:
    """What paths, queries and refusals need to know of a project."""
    return Place(
        project_id=project.pk,
        path=project.path_with_namespace,
        default_branch=project.default_branch,
        empty=bool(project.empty_repo),
        features={
            "repository": project.repository_access_level,
            "merge_requests": project.merge_requests_access_level,
            "issues": project.issues_access_level,
            "builds": project.builds_access_level,
        },
        numbers=numbers_of_projects(),
    )


def numbers_of_projects() -> dict[str, int]:
    """The number of every project in scope whose issues merge requests may close, by path."""
    projects = Project.objects.filter(in_scope=True).exclude(autoclose_issues=False)
    return dict(projects.values_list("path_with_namespace", "project_id"))
