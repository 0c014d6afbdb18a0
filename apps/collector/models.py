"""What GitLab answered, kept as it was: dimensions, raw rows, and the books of the collection itself.

Raw rows are written by the guarded upsert only. Ids are GitLab's own; instants are UTC.
"""

from typing import Any

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q


def of_project(**options: Any) -> models.ForeignKey:
    """The owning project. No database constraint: its rows may arrive before its own row is renewed."""
    return models.ForeignKey(
        "collector.Project", on_delete=models.DO_NOTHING, db_constraint=False, db_index=False, **options
    )


class Removable(models.Model):
    """A row that GitLab may lose. It is marked, not erased: what was published can still be explained."""

    deleted_at = models.DateTimeField(
        null=True, help_text="When the sweep of ids found it gone from GitLab; it counts no longer."
    )

    class Meta:
        abstract = True


class Collected(models.Model):
    """Any row that came from GitLab. `fetched_at` moves only when the content does."""

    fetched_at = models.DateTimeField()

    class Meta:
        abstract = True


class Project(Collected):
    project_id = models.BigIntegerField(primary_key=True)
    path_with_namespace = models.TextField()
    default_branch = models.TextField(null=True, blank=True)
    visibility = models.TextField(null=True, blank=True)
    active_flag = models.BooleanField(default=False)
    name = models.TextField(null=True, blank=True)
    web_url = models.TextField(null=True, blank=True)
    namespace_kind = models.TextField(null=True, blank=True)
    archived = models.BooleanField(null=True)
    empty_repo = models.BooleanField(null=True)
    pending_deletion_at = models.TextField(null=True, blank=True)
    repository_access_level = models.TextField(null=True, blank=True)
    merge_requests_access_level = models.TextField(null=True, blank=True)
    issues_access_level = models.TextField(null=True, blank=True)
    builds_access_level = models.TextField(null=True, blank=True)
    autoclose_issues = models.BooleanField(
        null=True, help_text="Whether merge requests close its issues; null where the server does not say."
    )
    created_at = models.DateTimeField(null=True)
    last_activity_at = models.DateTimeField(null=True)
    in_scope = models.BooleanField(default=True, help_text="Listed under a root group by the last discovery.")
    settled_at = models.DateTimeField(
        null=True, help_text="Archived, and collected to its last state: it is left alone from then on."
    )

    class Meta:
        db_table = "dim_project"
        ordering = ["path_with_namespace"]

    def __str__(self) -> str:
        return self.path_with_namespace


class User(Collected):
    user_id = models.BigIntegerField(primary_key=True)
    username = models.TextField()
    name = models.TextField(null=True, blank=True)
    state = models.TextField(null=True, blank=True)
    is_bot = models.BooleanField(null=True, help_text="GitLab's own flag; null where it did not say.")
    email_hash = models.TextField(null=True, blank=True)

    class Meta:
        db_table = "dim_user"
        ordering = ["username"]

    def __str__(self) -> str:
        return self.username


class Branch(Collected):
    project = of_project()
    branch = models.TextField()
    protected_flag = models.BooleanField(null=True)
    is_default = models.BooleanField(null=True)
    head_sha = models.TextField(null=True, blank=True)

    class Meta:
        db_table = "dim_branch"
        verbose_name_plural = "branches"
        constraints = [models.UniqueConstraint(fields=["project", "branch"], name="dim_branch_key")]

    def __str__(self) -> str:
        return self.branch


class ProtectedBranch(Collected):
    """A rule that protects branches: one by name, or many by a pattern in which `*` spans slashes too."""

    project = of_project()
    name = models.TextField()
    allow_force_push = models.BooleanField(null=True)

    class Meta:
        db_table = "dim_protected_branch"
        verbose_name_plural = "protected branches"
        constraints = [models.UniqueConstraint(fields=["project", "name"], name="dim_protected_branch_key")]

    def __str__(self) -> str:
        return self.name


class RawMergeRequest(Removable, Collected):
    mr_id = models.BigIntegerField(primary_key=True)
    project = of_project()
    iid = models.BigIntegerField()
    author_user_id = models.BigIntegerField(null=True)
    state = models.TextField()
    draft = models.BooleanField(null=True)
    title = models.TextField(null=True, blank=True, help_text="E-mail addresses in it are masked.")
    source_branch = models.TextField(null=True, blank=True)
    target_branch = models.TextField(null=True, blank=True)
    source_project_id = models.BigIntegerField(null=True)
    sha = models.TextField(null=True, blank=True)
    merge_commit_sha = models.TextField(null=True, blank=True)
    squash_commit_sha = models.TextField(null=True, blank=True)
    merge_user_id = models.BigIntegerField(null=True)
    labels = models.JSONField(default=list)
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()
    merged_at = models.DateTimeField(null=True)
    closed_at = models.DateTimeField(null=True)
    changes_count = models.TextField(null=True, blank=True, help_text="As GitLab says it: may be 1000+.")
    lines_added = models.IntegerField(null=True)
    lines_removed = models.IntegerField(null=True)
    gitlab_approvals_required = models.IntegerField(null=True, help_text="Null where the tier has none.")
    reviewer_ids = ArrayField(models.BigIntegerField(), null=True, help_text="Whom GitLab asked to review.")
    detail_at = models.DateTimeField(null=True, help_text="The updated_at for which details were read.")
    versions_at = models.DateTimeField(
        null=True, help_text="When its versions were read, once merged: from then on they stand for ever."
    )
    links_at = models.DateTimeField(
        null=True, help_text="The updated_at for which GitLab told which issues it closes."
    )
    # Settled by the fact build, as METRICS.md section 5 defines them:
    approvals_required = models.IntegerField(null=True)
    approvals_given = models.IntegerField(null=True)
    first_review_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "raw_mr"
        indexes = [
            models.Index(fields=["project", "mr_id"], name="raw_mr_project"),
            models.Index(fields=["project", "iid"], name="raw_mr_iid"),
        ]

    def __str__(self) -> str:
        return f"!{self.iid}"


class RawMergeRequestCommit(Collected):
    """The commits of a merge request's last version."""

    project = of_project()
    mr_id = models.BigIntegerField()
    commit_id = models.TextField()
    authored_at = models.DateTimeField(null=True)
    author_user_id = models.BigIntegerField(null=True)
    author_email_hash = models.TextField(null=True, blank=True)
    is_signed = models.BooleanField(null=True)
    position = models.IntegerField(null=True, help_text="In GitLab's list: 0 is the newest.")

    class Meta:
        db_table = "raw_mr_commit"
        constraints = [models.UniqueConstraint(fields=["mr_id", "commit_id"], name="raw_mr_commit_key")]
        indexes = [
            models.Index(fields=["project", "commit_id"], name="raw_mr_commit_sha"),
            models.Index(fields=["author_email_hash"], name="raw_mr_commit_address"),
        ]


class RawMergeRequestVersion(Collected):
    version_id = models.BigIntegerField(primary_key=True)
    project = of_project()
    mr_id = models.BigIntegerField()
    head_sha = models.TextField(null=True, blank=True)
    base_sha = models.TextField(null=True, blank=True)
    created_at = models.DateTimeField()
    rewrites = models.BooleanField(
        null=True,
        help_text="Whether its history lacks the head of the version before; null where nothing tells it.",
    )
    compared_at = models.DateTimeField(null=True, help_text="When that was asked; it is asked once.")

    class Meta:
        db_table = "raw_mr_version"
        indexes = [models.Index(fields=["project", "mr_id"], name="raw_mr_version_mr")]


class RawMergeRequestIssue(Collected):
    """An issue that a merge request closes, by GitLab's word or by its own: here, or in another project."""

    project = of_project()
    mr_id = models.BigIntegerField()
    issue_project = models.TextField(help_text="The number of the issue's project, or its path as written.")
    issue_iid = models.BigIntegerField()

    class Meta:
        db_table = "raw_mr_issue"
        constraints = [
            models.UniqueConstraint(fields=["mr_id", "issue_project", "issue_iid"], name="raw_mr_issue_key")
        ]
        indexes = [models.Index(fields=["project", "mr_id"], name="raw_mr_issue_mr")]


class RawMergeRequestEvent(Collected):
    """Something that happened to a merge request: who, when, what kind; never any text."""

    project = of_project()
    mr_id = models.BigIntegerField()
    event_key = models.TextField(
        help_text="note:ID, approval:USER or state:ID: unique within the merge request."
    )
    kind = models.TextField(
        help_text="note, approved, unapproved, closed, reopened, merged, draft, ready, commit"
    )
    at = models.DateTimeField(null=True, help_text="Null: GitLab does not tell when.")
    actor_user_id = models.BigIntegerField(null=True)

    class Meta:
        db_table = "raw_mr_event"
        constraints = [models.UniqueConstraint(fields=["mr_id", "event_key"], name="raw_mr_event_key")]
        indexes = [models.Index(fields=["project", "mr_id"], name="raw_mr_event_mr")]


class RawCommit(Collected):
    """Commits reachable from the default branch."""

    project = of_project()
    commit_id = models.TextField()
    author_user_id = models.BigIntegerField(null=True)
    author_name = models.TextField(null=True, blank=True)
    author_email_hash = models.TextField(null=True, blank=True)
    authored_at = models.DateTimeField(null=True)
    committed_at = models.DateTimeField()
    parent_ids = ArrayField(models.TextField(), default=list)
    additions = models.IntegerField(null=True)
    deletions = models.IntegerField(null=True)
    is_signed = models.BooleanField(null=True)
    reverts_sha = models.TextField(null=True, blank=True, help_text="From «This reverts commit <sha>».")
    reverts_mr_iid = models.BigIntegerField(null=True, help_text="From «This reverts merge request !<iid>».")

    class Meta:
        db_table = "raw_commit"
        constraints = [models.UniqueConstraint(fields=["project", "commit_id"], name="raw_commit_key")]
        indexes = [models.Index(fields=["project", "committed_at"], name="raw_commit_when")]

    def __str__(self) -> str:
        return self.commit_id[:12]


class RawPipeline(Removable, Collected):
    pipeline_id = models.BigIntegerField(primary_key=True)
    project = of_project()
    iid = models.BigIntegerField(null=True)
    sha = models.TextField(null=True, blank=True)
    ref = models.TextField(null=True, blank=True)
    source = models.TextField(null=True, blank=True)
    status = models.TextField()
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField(null=True)
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)
    duration_sec = models.IntegerField(null=True)
    detail_at = models.DateTimeField(
        null=True, help_text="The updated_at for which details and jobs were read."
    )
    commit_is_signed = models.BooleanField(
        null=True, help_text="Whether its commit is signed; null where GitLab did not say it of the pipeline."
    )
    # Settled by the fact build, as METRICS.md section 5 defines it:
    environment = models.TextField(null=True, blank=True)

    class Meta:
        db_table = "raw_pipeline"
        indexes = [
            models.Index(fields=["project", "ref", "pipeline_id"], name="raw_pipeline_ref"),
            models.Index(fields=["project", "created_at"], name="raw_pipeline_when"),
        ]

    def __str__(self) -> str:
        return f"#{self.pipeline_id}"


class RawJob(Collected):
    job_id = models.BigIntegerField(primary_key=True)
    project = of_project()
    pipeline_id = models.BigIntegerField()
    name = models.TextField()
    stage = models.TextField(null=True, blank=True)
    status = models.TextField()
    sha = models.TextField(null=True, blank=True)
    created_at = models.DateTimeField(null=True)
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)
    duration_sec = models.FloatField(null=True)
    retried_flag = models.BooleanField(null=True)
    allow_failure = models.BooleanField(null=True)
    scheduling_type = models.TextField(null=True, blank=True)
    needs = ArrayField(models.TextField(), null=True)

    class Meta:
        db_table = "raw_job"
        indexes = [
            models.Index(fields=["project", "pipeline_id"], name="raw_job_pipeline"),
            models.Index(
                fields=["project", "sha", "name"], condition=Q(retried_flag=True), name="raw_job_retried"
            ),
        ]

    def __str__(self) -> str:
        return self.name


class RawJobChange(models.Model):
    """A pipeline whose jobs changed. Triggers on raw_job write it: no way of writing jobs forgets it."""

    project_id = models.BigIntegerField()
    pipeline_id = models.BigIntegerField()

    class Meta:
        db_table = "raw_job_change"
        indexes = [models.Index(fields=["project_id"], name="raw_job_change_of")]

    def __str__(self) -> str:
        return f"#{self.pipeline_id}"


class RawEnvironment(Collected):
    environment_id = models.BigIntegerField(primary_key=True)
    project = of_project()
    name = models.TextField()
    tier = models.TextField(null=True, blank=True)
    state = models.TextField(null=True, blank=True)

    class Meta:
        db_table = "raw_environment"
        indexes = [models.Index(fields=["project", "name"], name="raw_environment_name")]

    def __str__(self) -> str:
        return self.name


class RawDeployment(Collected):
    deployment_id = models.BigIntegerField(primary_key=True)
    project = of_project()
    iid = models.BigIntegerField(null=True)
    status = models.TextField()
    environment = models.TextField(null=True, blank=True)
    sha = models.TextField(null=True, blank=True)
    ref = models.TextField(null=True, blank=True)
    pipeline_id = models.BigIntegerField(null=True)
    job_id = models.BigIntegerField(null=True)
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(
        null=True, help_text="When its job finished; null where no job made it."
    )

    class Meta:
        db_table = "raw_deployment"
        indexes = [models.Index(fields=["project", "pipeline_id"], name="raw_deployment_pipeline")]

    def __str__(self) -> str:
        return f"{self.environment} #{self.deployment_id}"


class RawTag(Collected):
    project = of_project()
    tag_name = models.TextField()
    commit_id = models.TextField(null=True, blank=True)
    committed_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "raw_tag"
        constraints = [models.UniqueConstraint(fields=["project", "tag_name"], name="raw_tag_key")]

    def __str__(self) -> str:
        return self.tag_name


class RawRelease(Collected):
    project = of_project()
    tag_name = models.TextField()
    commit_id = models.TextField(null=True, blank=True)
    released_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "raw_release"
        constraints = [models.UniqueConstraint(fields=["project", "tag_name"], name="raw_release_key")]

    def __str__(self) -> str:
        return self.tag_name


class RawIssue(Removable, Collected):
    issue_id = models.BigIntegerField(primary_key=True)
    project = of_project()
    iid = models.BigIntegerField()
    author_user_id = models.BigIntegerField(null=True)
    state = models.TextField()
    issue_type = models.TextField(null=True, blank=True)
    labels = models.JSONField(default=list)
    moved_to_id = models.BigIntegerField(null=True)
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()
    closed_at = models.DateTimeField(null=True)
    # Counted from raw_issue_event by the fact build:
    reopened_count = models.IntegerField(null=True, db_default=0)

    class Meta:
        db_table = "raw_issue"
        indexes = [models.Index(fields=["project", "issue_id"], name="raw_issue_project")]

    def __str__(self) -> str:
        return f"#{self.iid}"


class RawIssueEvent(Collected):
    project = of_project()
    issue_id = models.BigIntegerField()
    event_key = models.TextField()
    state = models.TextField(help_text="closed or reopened")
    at = models.DateTimeField()
    actor_user_id = models.BigIntegerField(null=True)

    class Meta:
        db_table = "raw_issue_event"
        constraints = [models.UniqueConstraint(fields=["issue_id", "event_key"], name="raw_issue_event_key")]
        indexes = [models.Index(fields=["project", "issue_id"], name="raw_issue_event_issue")]


class RawPushEvent(Collected):
    event_id = models.BigIntegerField(primary_key=True)
    project = of_project()
    ref = models.TextField(null=True, blank=True)
    ref_type = models.TextField(null=True, blank=True)
    action = models.TextField(null=True, blank=True, help_text="created, pushed or removed")
    commit_from = models.TextField(null=True, blank=True)
    commit_to = models.TextField(null=True, blank=True)
    commit_count = models.IntegerField(null=True)
    author_user_id = models.BigIntegerField(null=True)
    created_at = models.DateTimeField()

    class Meta:
        db_table = "raw_push_event"
        indexes = [models.Index(fields=["project", "ref", "created_at"], name="raw_push_event_ref")]


class RawBranchHead(Collected):
    """Each head of a protected branch that was ever seen, in the order of observation. Never overwritten."""

    project = of_project()
    branch = models.TextField()
    head_sha = models.TextField()
    observed_at = models.DateTimeField()

    class Meta:
        db_table = "raw_branch_head"
        constraints = [
            models.UniqueConstraint(fields=["project", "branch", "observed_at"], name="raw_branch_head_key")
        ]


class IngestionState(models.Model):
    """How far one entity of one project or group has been read. Moves only after the last page."""

    level = models.CharField(max_length=16, help_text="project or group")
    level_id = models.BigIntegerField()
    entity = models.CharField(max_length=64)
    last_seen_updated_at = models.DateTimeField(null=True, help_text="The watermark, by the server's clock.")
    last_run_at = models.DateTimeField(null=True)
    history_from = models.DateTimeField(null=True, help_text="How far back this entity has been read.")
    cursor = models.JSONField(default=dict, help_text="Where an unfinished scan stands.")
    unavailable = models.CharField(
        max_length=32, blank=True, help_text="Why GitLab refused it, from the closed list."
    )
    dirty_at = models.DateTimeField(
        null=True, help_text="Somebody told us at this moment that it changed; read it whatever else says no."
    )

    class Meta:
        db_table = "ingestion_state"
        constraints = [
            models.UniqueConstraint(fields=["level", "level_id", "entity"], name="ingestion_state_key")
        ]

    def __str__(self) -> str:
        return f"{self.level} {self.level_id}: {self.entity}"


class Server(models.Model):
    """What the configured GitLab was found to be able to do."""

    url = models.TextField(unique=True)
    version = models.TextField(blank=True)
    enterprise = models.BooleanField(null=True)
    history_since = models.DateTimeField(
        null=True, help_text="Local midnight from which history is complete."
    )
    fields = models.JSONField(
        default=dict, help_text="GraphQL type -> names of its fields; empty: REST only."
    )
    closes_otherwise = models.BooleanField(
        db_default=False,
        help_text="Its closing words are not GitLab's own: what a merge request closes is asked, not read.",
    )
    probed_at = models.DateTimeField()

    class Meta:
        db_table = "gitlab_server"

    def __str__(self) -> str:
        return self.url


class Exclusion(models.Model):
    """A project that is not collected, and why."""

    class Reason(models.TextChoices):
        ARCHIVED = "archived"
        EMPTY = "empty"
        NO_ACCESS = "no_access"
        PENDING_DELETION = "pending_deletion"
        MERGE_REQUESTS_DISABLED = "merge_requests_disabled"
        OUT_OF_SCOPE = "out_of_scope"
        FAILED = "failed"
        QUARANTINED = "quarantined"

    project = models.OneToOneField(
        Project, on_delete=models.DO_NOTHING, db_constraint=False, primary_key=True, related_name="exclusion"
    )
    reason = models.CharField(max_length=32, choices=Reason)
    detail = models.TextField(blank=True)
    since = models.DateTimeField()

    class Meta:
        db_table = "exclusion"

    def __str__(self) -> str:
        return f"{self.project_id}: {self.reason}"


class Quarantine(models.Model):
    """A row of GitLab's that could not be read. The others of its page were stored."""

    project = of_project(null=True)
    entity = models.CharField(max_length=64)
    entity_id = models.TextField(blank=True)
    reason = models.TextField()
    payload_hash = models.CharField(max_length=64)
    endpoint = models.CharField(
        max_length=64, blank=True, db_default="", help_text="The row of the endpoint table it came by."
    )
    parent_id = models.BigIntegerField(null=True, help_text="The merge request or pipeline it belongs to.")
    first_seen_at = models.DateTimeField()
    asked_again_at = models.DateTimeField(null=True, help_text="When somebody asked to have it read again.")

    class Meta:
        db_table = "quarantine"
        constraints = [
            models.UniqueConstraint(
                fields=["project", "entity", "entity_id", "payload_hash"], name="quarantine_key"
            )
        ]

    def __str__(self) -> str:
        return f"{self.entity} {self.entity_id}"
