"""Placement, links, facts, values and findings, to look at: all of it is rebuilt from raw rows and rules."""

from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest
from unfold.widgets import UnfoldAdminTextInputWidget

from apps.metrics import models
from apps.metrics.quality import close
from tem import clock
from tem.admin import Large, OfProject, ReadOnly, one_of

GUARDED = ("cycle_time", "time_to_first_review", "time_to_green", "rollback_time", "branch_ttl", "lead_time")
ORDERED = ("time_in_review", "job_duration", "merge_request_life", "issue_life", "pipeline_life")
FINDINGS = (
    "ancestry_unknown",
    "future_commit",
    "future_issue",
    "future_mr",
    "future_pipeline",
    "future_release",
    *(f"negative_{what}" for what in (*GUARDED, *ORDERED)),
    *(f"zero_{what}" for what in GUARDED),
)
"""The kinds that sql/finding.sql knows."""


@admin.register(models.PlacedProject)
class PlacedProjects(ReadOnly):
    list_display = ("path", "business_line", "team", "production_infer", "rules_version")
    list_filter = ("business_line", "team")
    search_fields = ("path",)


@admin.register(models.Scope)
class Scopes(ReadOnly):
    list_display = ("key", "kind", "business_line", "team", "is_current")
    list_filter = ("kind", "is_current")
    search_fields = ("key",)


@admin.register(models.MetricValue)
class MetricValues(Large):
    ordering = ("-day",)
    list_display = ("day", "metric", "window", "scope", "value", "n", "reason")
    list_select_related = ("scope",)
    search_fields = ("scope__key__exact",)
    search_help_text = "A scope such as org, team:Trading or repo:toman/core/price-feed"


@admin.register(models.Finding)
class Findings(OfProject):
    list_display = ("project", "kind", "entity", "entity_id", "detail")
    list_filter = (one_of("kind", *FINDINGS),)


@admin.register(models.NameVerdict)
class NameVerdicts(OfProject):
    list_display = ("project", "rule", "name", "matches")


@admin.register(models.DimRelease)
class Releases(OfProject):
    list_display = ("tag_name", "project", "released_at", "semver_valid")


@admin.register(models.FactRelease)
class ReleaseFacts(OfProject):
    list_display = ("tag_name", "project", "at", "is_semver", "cadence_bucket")


@admin.register(models.FactDeployment)
class DeploymentFacts(OfProject):
    list_display = ("project", "at", "environment", "signal", "pipeline_id", "is_rollback", "rollback_signal")
    number = "pipeline_id"


@admin.register(models.FactMergeRequest)
class MergeRequestFacts(OfProject):
    list_display = ("iid", "project", "merged_at", "cycle_time_hours", "review_wait_hours", "rework_count")
    number = "mr_id"


@admin.register(models.FactMergeRequestSpan)
class MergeRequestSpans(OfProject):
    list_display = ("mr_id", "project", "from_at", "to_at")
    number = "mr_id"


@admin.register(models.FactBranch)
class BranchLives(OfProject):
    list_display = ("mr_id", "project", "started_at", "ended_at", "ttl_ms")
    number = "mr_id"


@admin.register(models.FactIssue)
class IssueFacts(OfProject):
    list_display = ("iid", "project", "created_at", "sla_ms", "is_bug", "escaped_by")
    number = "issue_id"


@admin.register(models.FactIssueSpan)
class IssueSpans(OfProject):
    list_display = ("issue_id", "project", "from_at", "to_at")
    number = "issue_id"


@admin.register(models.FactIssueEvent)
class IssueEvents(OfProject):
    list_display = ("issue_id", "project", "at", "is_reopening")
    number = "issue_id"


@admin.register(models.FactMergeRequestDeployment)
class DeployedMergeRequests(OfProject):
    list_display = ("mr_id", "project", "at", "deployment_key", "inferred", "has_issue")
    number = "mr_id"


@admin.register(models.FactFailure)
class Failures(OfProject):
    list_display = ("deployment_key", "project", "at", "failed_by", "recovered_at")


@admin.register(models.FactDelivery)
class Deliveries(OfProject):
    list_display = ("issue_id", "project", "at", "mr_id", "deployment_key")
    number = "issue_id"


@admin.register(models.FactPipeline)
class PipelineFacts(OfProject):
    list_display = ("pipeline_id", "project", "status", "created_at", "is_prod", "is_rollback", "mtg_seconds")
    number = "pipeline_id"


@admin.register(models.FactJobGroup)
class JobGroups(OfProject):
    list_display = ("name", "project", "sha", "at", "is_flaky")


@admin.register(models.FactJobDay)
class JobDays(OfProject):
    list_display = ("project", "at", "jobs")


@admin.register(models.FactPipelineJobs)
class JobsOfPipelines(OfProject):
    list_display = ("pipeline_id", "project", "ended", "is_retried", "is_dag", "critical_path_ms")
    number = "pipeline_id"


@admin.register(models.FactCommit)
class CommitFacts(OfProject):
    list_display = ("commit_id", "project", "committed_at", "position", "is_direct_push", "is_signed")


@admin.register(models.FactForcePush)
class ForcePushes(OfProject):
    list_display = ("branch", "project", "at")


@admin.register(models.FactGitHygiene)
class GitHygiene(OfProject):
    list_display = (
        "day",
        "project",
        "direct_pushes_default",
        "force_pushes_protected",
        "unsigned_commit_count",
    )


@admin.register(models.ParitySample)
class ParitySamples(Large):
    list_display = (
        "run_id", "project", "entity", "subject", "field", "agrees", "cause", "ours", "theirs", "agrees_now",
    )  # fmt: skip
    list_select_related = ("project",)
    list_filter = (one_of("cause", *models.ParitySample.Cause.values), "agrees")
    search_fields = ("run_id__exact",)


class Closing(forms.ModelForm):
    """An incident's words. Cause and note together close it; one without the other does not."""

    class Meta:
        model = models.QualityIncident
        fields = ("owner", "cause", "closing_note")
        widgets = {"owner": UnfoldAdminTextInputWidget}  # Django reads it here

    def clean(self) -> dict[str, Any]:
        told = super().clean() or {}
        if bool(told.get("closing_note", "").strip()) > bool(told.get("cause", "").strip()):
            self.add_error("cause", "A closing note closes the incident: say what the cause was, too.")
        return told


@admin.register(models.QualityIncident)
class QualityIncidents(ReadOnly):
    """Opened by checks, closed here by a person: a cause and a closing note do it, for good."""

    form = Closing
    list_display = ("kind", "opened_at", "what", "owner", "closed_at", "closed_by")
    list_filter = ("kind",)
    fields = (
        "kind", "run_id", "opened_at", "what", "timeline", "owner", "cause", "closing_note",
        "closed_at", "closed_by",
    )  # fmt: skip
    readonly_fields = ("kind", "run_id", "opened_at", "what", "timeline", "closed_at", "closed_by")

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        is_open = obj is not None and obj.closed_at is None
        return is_open and admin.ModelAdmin.has_change_permission(self, request, obj)

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """The owner and a cause so far are kept; a closing note closes."""
        type(obj).objects.filter(pk=obj.pk).update(owner=obj.owner, cause=obj.cause)
        if obj.closing_note.strip():
            told = {"cause": obj.cause, "note": obj.closing_note, "now": clock.now()}
            close(obj, who=request.user.get_username(), **told)
