"""Dimensions, raw rows and the books of the collection, to look at: all of it comes from GitLab."""

from django.contrib import admin, messages
from django.contrib.admin.models import CHANGE, LogEntry
from django.db.models import QuerySet
from django.http import HttpRequest

from apps.collector import models, replay
from tem import clock
from tem.admin import Large, OfProject, ReadOnly, one_of

_PIPELINE_STATES = ("success", "failed", "canceled", "skipped", "running", "pending", "manual")


@admin.register(models.Project)
class Projects(ReadOnly):
    list_display = (
        "path_with_namespace",
        "default_branch",
        "active_flag",
        "archived",
        "in_scope",
        "fetched_at",
    )
    list_filter = ("active_flag", "archived", "in_scope")
    search_fields = ("path_with_namespace", "project_id__exact")


@admin.register(models.User)
class Users(ReadOnly):
    list_display = ("username", "name", "state", "is_bot")
    list_filter = ("is_bot", "state")
    search_fields = ("username", "name")


@admin.register(models.Branch)
class Branches(OfProject):
    list_display = ("project", "branch", "is_default", "protected_flag", "head_sha")


@admin.register(models.ProtectedBranch)
class ProtectedBranches(OfProject):
    list_display = ("project", "name", "allow_force_push")


@admin.register(models.RawMergeRequest)
class MergeRequests(OfProject):
    list_display = ("mr_id", "project", "iid", "title", "state", "created_at", "merged_at")
    list_filter = (one_of("state", "opened", "merged", "closed", "locked"),)
    number = "mr_id"


@admin.register(models.RawMergeRequestCommit)
class MergeRequestCommits(OfProject):
    list_display = ("mr_id", "project", "commit_id", "authored_at", "is_signed")
    number = "mr_id"


@admin.register(models.RawMergeRequestVersion)
class MergeRequestVersions(OfProject):
    list_display = ("version_id", "project", "mr_id", "head_sha", "created_at")
    number = "version_id"


@admin.register(models.RawMergeRequestEvent)
class MergeRequestEvents(OfProject):
    list_display = ("mr_id", "project", "kind", "at", "actor_user_id")
    number = "mr_id"


@admin.register(models.RawMergeRequestIssue)
class ClosedIssues(OfProject):
    list_display = ("mr_id", "project", "issue_project", "issue_iid")
    number = "mr_id"


@admin.register(models.RawCommit)
class Commits(OfProject):
    list_display = (
        "commit_id",
        "project",
        "author_name",
        "committed_at",
        "additions",
        "deletions",
        "is_signed",
    )
    number = "commit_id"


@admin.register(models.RawPipeline)
class Pipelines(OfProject):
    list_display = ("pipeline_id", "project", "ref", "source", "status", "created_at", "duration_sec")
    list_filter = (one_of("status", *_PIPELINE_STATES),)
    number = "pipeline_id"


@admin.register(models.RawJobChange)
class JobChanges(Large):
    list_display = ("pipeline_id", "project_id")


@admin.register(models.RawJob)
class Jobs(OfProject):
    list_display = (
        "job_id",
        "project",
        "pipeline_id",
        "name",
        "stage",
        "status",
        "duration_sec",
        "retried_flag",
    )
    list_filter = (one_of("status", *_PIPELINE_STATES),)
    number = "job_id"


@admin.register(models.RawEnvironment)
class Environments(OfProject):
    list_display = ("environment_id", "project", "name", "tier", "state")
    number = "environment_id"


@admin.register(models.RawDeployment)
class Deployments(OfProject):
    list_display = ("deployment_id", "project", "environment", "status", "ref", "pipeline_id", "finished_at")
    list_filter = (one_of("status", "success", "failed", "canceled", "running", "created", "blocked"),)
    number = "deployment_id"


@admin.register(models.RawTag)
class Tags(OfProject):
    list_display = ("tag_name", "project", "commit_id", "committed_at")


@admin.register(models.RawRelease)
class Releases(OfProject):
    list_display = ("tag_name", "project", "released_at", "commit_id")


@admin.register(models.RawIssue)
class Issues(OfProject):
    list_display = ("issue_id", "project", "iid", "state", "labels", "created_at", "closed_at")
    list_filter = (one_of("state", "opened", "closed"),)
    number = "issue_id"


@admin.register(models.RawIssueEvent)
class IssueEvents(OfProject):
    list_display = ("issue_id", "project", "state", "at")
    number = "issue_id"


@admin.register(models.RawPushEvent)
class PushEvents(OfProject):
    list_display = ("pk", "project", "ref", "action", "commit_from", "commit_to", "created_at")


@admin.register(models.RawBranchHead)
class BranchHeads(OfProject):
    list_display = ("project", "branch", "head_sha", "observed_at")


@admin.register(models.IngestionState)
class Watermarks(ReadOnly):
    list_display = ("level", "level_id", "entity", "last_seen_updated_at", "last_run_at", "unavailable")
    list_filter = ("level", "entity", "unavailable")
    search_fields = ("level_id__exact", "entity")


@admin.register(models.Server)
class Servers(ReadOnly):
    list_display = ("url", "version", "enterprise", "history_since", "probed_at")


@admin.register(models.Exclusion)
class Exclusions(ReadOnly):
    list_display = ("project", "reason", "detail", "since")
    list_filter = ("reason",)
    list_select_related = ("project",)
    search_fields = ("project__path_with_namespace", "detail")


@admin.register(models.Quarantine)
class Quarantined(ReadOnly):
    list_display = ("project", "entity", "entity_id", "reason", "first_seen_at", "asked_again_at")
    list_filter = ("entity", "reason", ("project", admin.RelatedOnlyFieldListFilter))
    list_select_related = ("project",)
    search_fields = ("entity_id", "reason", "project__path_with_namespace")
    actions = ("read_again",)

    def has_ask_permission(self, request: HttpRequest) -> bool:
        """Who may change a row of the quarantine may have it read again, though nobody edits it by hand."""
        return request.user.has_perm("collector.change_quarantine")

    @admin.action(description="Read again at the next increment", permissions=["ask"])
    def read_again(self, request: HttpRequest, rows: QuerySet[models.Quarantine]) -> None:
        asked = replay.ask_again(rows, now=clock.now())
        told = f"{asked.details} details and {asked.lists} lists will be read again by the next run."
        assert request.user.pk is not None  # the admin lets nobody in who has not signed in
        LogEntry.objects.log_actions(request.user.pk, rows, CHANGE, "Asked to read it again.")
        self.message_user(request, told, messages.SUCCESS)
