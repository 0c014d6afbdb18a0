"""What was made of the raw rows: placement, links, facts, values. Rebuilt from raw rows and rules."""

from django.contrib.postgres.fields import ArrayField
from django.db import models

from apps.collector.models import of_project


class PlacedProject(models.Model):
    """Where a project stands now and the rules in force for it: one column a rule."""

    project = models.OneToOneField(
        "collector.Project", on_delete=models.DO_NOTHING, db_constraint=False, primary_key=True
    )
    path = models.TextField()
    business_line = models.TextField()
    team = models.TextField()
    rules_version = models.BigIntegerField()
    production_infer = models.TextField()
    production_signals = ArrayField(models.TextField())
    production_environment = models.TextField()
    production_tag = models.TextField()
    rollback_pattern = models.TextField()
    rollback_within_hours = models.IntegerField()
    approvals_minimum = models.IntegerField()
    rework_force_pushes = models.IntegerField()
    sla = models.JSONField(default=list)
    bugs_label = models.TextField()
    bugs_escape_label = models.TextField()
    bugs_escape_days = models.IntegerField()
    incidents_label = models.TextField(db_default="")
    incidents_within_hours = models.IntegerField(db_default=24)

    class Meta:
        db_table = "placed_project"
        ordering = ["path"]

    def __str__(self) -> str:
        return self.path


class NameVerdict(models.Model):
    """Whether a name in a project matches a pattern of its rules: decided in Python, joined from then on."""

    project = of_project()
    rule = models.CharField(
        max_length=64, help_text="production_environment, production_tag, rollback_pattern, ..."
    )
    name = models.TextField()
    matches = models.BooleanField()

    class Meta:
        db_table = "name_verdict"
        constraints = [models.UniqueConstraint(fields=["project", "rule", "name"], name="name_verdict_key")]


class DimRelease(models.Model):
    """Every tag; `released_at` is null where no release belongs to it."""

    project = of_project()
    tag_name = models.TextField()
    released_at = models.DateTimeField(null=True)
    semver_valid = models.BooleanField()

    class Meta:
        db_table = "dim_release"
        constraints = [models.UniqueConstraint(fields=["project", "tag_name"], name="dim_release_key")]


class FactRelease(models.Model):
    """Every tag with the instant it counts at: its release's, else its commit's."""

    project = of_project()
    tag_name = models.TextField()
    commit_id = models.TextField(null=True)
    at = models.DateTimeField(null=True)
    is_semver = models.BooleanField()
    cadence_bucket = models.TextField(null=True, help_text="Local ISO week, 2025-W36.")

    class Meta:
        db_table = "fact_release"
        constraints = [models.UniqueConstraint(fields=["project", "tag_name"], name="fact_release_key")]
        indexes = [models.Index(fields=["project", "at"], name="fact_release_when")]


class FactDeployment(models.Model):
    """A production deployment, with the signal and the rules version that made it one."""

    project = of_project()
    deployment_key = models.TextField(help_text="pipeline:ID:ENVIRONMENT:K, pipeline:ID or deployment:ID.")
    pipeline_id = models.BigIntegerField(null=True)
    environment = models.TextField(null=True)
    sha = models.TextField(null=True)
    at = models.DateTimeField()
    signal = models.TextField(help_text="environment, release_tag, default_branch, or several joined by +")
    rules_version = models.BigIntegerField()
    position = models.IntegerField(null=True)
    is_rollback = models.BooleanField(default=False)
    rollback_signal = models.TextField(null=True, help_text="tagged, older or reverted")
    undoes_key = models.TextField(null=True)
    rollback_ms = models.BigIntegerField(null=True)

    class Meta:
        db_table = "fact_deployment"
        constraints = [
            models.UniqueConstraint(fields=["project", "deployment_key"], name="fact_deployment_key")
        ]
        indexes = [models.Index(fields=["project", "at"], name="fact_deployment_when")]


class FactMergeRequest(models.Model):
    """One row per merge request, merged or not. Milliseconds are exact; the PRD's hours are made of them."""

    mr_id = models.BigIntegerField(primary_key=True)
    project = of_project()
    iid = models.BigIntegerField()
    created_at = models.DateTimeField()
    merged_at = models.DateTimeField(null=True)
    first_review_at = models.DateTimeField(null=True)
    approvals_met_at = models.DateTimeField(null=True)
    cycle_time_ms = models.BigIntegerField(null=True)
    cycle_time_hours = models.DecimalField(max_digits=18, decimal_places=4, null=True)
    review_wait_ms = models.BigIntegerField(null=True)
    review_wait_hours = models.DecimalField(max_digits=18, decimal_places=4, null=True)
    review_ms = models.BigIntegerField(null=True, help_text="Time in review.")
    review_rounds = models.IntegerField(null=True, help_text="Null where versions were not read.")
    force_pushes = models.IntegerField(null=True)
    rework_count = models.IntegerField(null=True)
    lines_added = models.IntegerField(null=True)
    lines_removed = models.IntegerField(null=True)
    approvals_required = models.IntegerField(null=True)
    approvals_given = models.IntegerField(null=True)
    rules_version = models.BigIntegerField()

    class Meta:
        db_table = "fact_mr"
        indexes = [models.Index(fields=["project", "merged_at"], name="fact_mr_when")]


class FactMergeRequestSpan(models.Model):
    """A span in which a merge request was open; `to_at` null: it still is."""

    project = of_project()
    mr_id = models.BigIntegerField()
    created_at = models.DateTimeField()
    from_at = models.DateTimeField()
    to_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "fact_mr_span"
        constraints = [models.UniqueConstraint(fields=["mr_id", "from_at"], name="fact_mr_span_key")]
        indexes = [models.Index(fields=["project", "from_at"], name="fact_mr_span_when")]


class FactBranch(models.Model):
    """The life of a merge request's source branch; `ended_at` null: it lives."""

    mr_id = models.BigIntegerField(primary_key=True)
    project = of_project()
    started_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)
    ttl_ms = models.BigIntegerField(null=True)

    class Meta:
        db_table = "fact_branch"
        indexes = [models.Index(fields=["project", "ended_at"], name="fact_branch_when")]


class FactIssue(models.Model):
    """An issue with what the rules say of it: its target, whether it is a bug, and how it slipped through."""

    issue_id = models.BigIntegerField(primary_key=True)
    project = of_project()
    iid = models.BigIntegerField()
    created_at = models.DateTimeField()
    sla_ms = models.BigIntegerField(null=True, help_text="The target of the first SLA rule that it carries.")
    is_bug = models.BooleanField()
    is_incident = models.BooleanField(db_default=False)
    escaped_by = models.TextField(
        null=True, help_text="label, or the tag soon after whose release it was opened."
    )
    rules_version = models.BigIntegerField()

    class Meta:
        db_table = "fact_issue"
        indexes = [models.Index(fields=["project", "created_at"], name="fact_issue_when")]


class FactIssueSpan(models.Model):
    """A span in which an issue was open; `to_at` null: it still is. `reopened_at`: when the next began."""

    project = of_project()
    issue_id = models.BigIntegerField()
    from_at = models.DateTimeField()
    to_at = models.DateTimeField(null=True)
    reopened_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "fact_issue_span"
        constraints = [models.UniqueConstraint(fields=["issue_id", "from_at"], name="fact_issue_span_key")]
        indexes = [models.Index(fields=["project", "from_at"], name="fact_issue_span_when")]


class FactIssueEvent(models.Model):
    """An issue was closed, or opened again."""

    project = of_project()
    issue_id = models.BigIntegerField()
    event_key = models.TextField()
    at = models.DateTimeField()
    is_reopening = models.BooleanField()

    class Meta:
        db_table = "fact_issue_event"
        constraints = [models.UniqueConstraint(fields=["issue_id", "event_key"], name="fact_issue_event_key")]
        indexes = [models.Index(fields=["project", "at"], name="fact_issue_event_when")]


class FactMergeRequestDeployment(models.Model):
    """The production deployment that first included a merge request into the default branch."""

    mr_id = models.BigIntegerField(primary_key=True)
    project = of_project()
    deployment_key = models.TextField()
    at = models.DateTimeField()
    inferred = models.BooleanField(help_text="By time: the deployment's commit is not on the default branch.")
    has_issue = models.BooleanField(help_text="It closes an issue.")

    class Meta:
        db_table = "fact_mr_deployment"
        indexes = [models.Index(fields=["project", "at"], name="fact_mr_deployment_when")]


class FactFailure(models.Model):
    """A production deployment that failed: it was rolled back, or an incident was opened soon after it."""

    project = of_project()
    deployment_key = models.TextField()
    at = models.DateTimeField()
    failed_by = models.TextField(help_text="rollback, or incident #NUMBER: the first that was opened.")
    recovered_at = models.DateTimeField(null=True, help_text="The rollback, or the last incident's closing.")
    recovery_ms = models.BigIntegerField(null=True, help_text="Since the deployment.")

    class Meta:
        db_table = "fact_failure"
        constraints = [models.UniqueConstraint(fields=["project", "deployment_key"], name="fact_failure_key")]
        indexes = [models.Index(fields=["project", "recovered_at"], name="fact_failure_when")]


class FactDelivery(models.Model):
    """An issue's first way to production: it stands in the project that deployed."""

    issue_id = models.BigIntegerField(primary_key=True)
    project = of_project()
    mr_id = models.BigIntegerField()
    deployment_key = models.TextField()
    at = models.DateTimeField()
    lead_ms = models.BigIntegerField(help_text="Since the issue was created.")

    class Meta:
        db_table = "fact_delivery"
        indexes = [models.Index(fields=["project", "at"], name="fact_delivery_when")]


class FactPipeline(models.Model):
    """One row per pipeline; children of others are marked and count in no pipeline metric."""

    pipeline_id = models.BigIntegerField(primary_key=True)
    project = of_project()
    is_child = models.BooleanField()
    status = models.TextField()
    created_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True)
    is_prod = models.BooleanField()
    is_rollback = models.BooleanField()
    is_flaky_candidate = models.BooleanField()
    is_alone = models.BooleanField(help_text="On its SHA; and none of its jobs was tried again.")
    duration_sec = models.IntegerField(null=True)
    critical_path_ms = models.BigIntegerField(null=True)
    green_pipeline_id = models.BigIntegerField(null=True)
    green_at = models.DateTimeField(null=True)
    mtg_ms = models.BigIntegerField(null=True)
    mtg_seconds = models.IntegerField(null=True)

    class Meta:
        db_table = "fact_pipeline"
        indexes = [
            models.Index(fields=["project", "created_at"], name="fact_pipeline_when"),
            models.Index(fields=["project", "green_at"], name="fact_pipeline_green"),
        ]


class FactJobGroup(models.Model):
    """All attempts of one job name on one SHA that ended in success or failure, where there may be several.

    A job of a pipeline that `is_alone` is a group of its own, and has no row.
    """

    project = of_project()
    sha = models.TextField()
    name = models.TextField()
    at = models.DateTimeField(help_text="When its last attempt finished.")
    last_job_id = models.BigIntegerField()
    is_flaky = models.BooleanField()

    class Meta:
        db_table = "fact_job_group"
        constraints = [models.UniqueConstraint(fields=["project", "sha", "name"], name="fact_job_group_key")]
        indexes = [models.Index(fields=["project", "at"], name="fact_job_group_when")]


class FactJobDay(models.Model):
    """How many jobs of pipelines that stand alone ended on a local day; each is a group of its own."""

    project = of_project()
    at = models.DateTimeField(help_text="The day's midnight.")
    jobs = models.IntegerField()

    class Meta:
        db_table = "fact_job_day"
        constraints = [models.UniqueConstraint(fields=["project", "at"], name="fact_job_day_key")]


class FactPipelineJobs(models.Model):
    """What the jobs of a pipeline say together; looked at again only when they change.

    Jobs ended if they succeeded or failed at a known instant.
    """

    pipeline_id = models.BigIntegerField(primary_key=True)
    project = of_project()
    jobs = models.TextField(help_text="The names of all attempts, by stage, with U+001F between them.")
    is_retried = models.BooleanField(help_text="Some job has more attempts than one.")
    is_dag = models.BooleanField(help_text="Some job waits for its needs, not for stages.")
    is_odd = models.BooleanField(help_text="Some job ended before it began.")
    ended = models.IntegerField()
    first_ended_at = models.DateTimeField(null=True)
    last_ended_at = models.DateTimeField(null=True)
    critical_path_ms = models.BigIntegerField(null=True)
    words = models.IntegerField(help_text="Which version of the definitions said so.")

    class Meta:
        db_table = "fact_pipeline_jobs"
        indexes = [models.Index(fields=["project", "pipeline_id"], name="fact_pipeline_jobs_of")]


class FactCommit(models.Model):
    """One row per commit reachable from the default branch, with its place on the mainline."""

    project = of_project()
    commit_id = models.TextField()
    committed_at = models.DateTimeField()
    position = models.IntegerField(
        help_text="Its own on the mainline, or that of the commit that brought it in."
    )
    is_mainline = models.BooleanField()
    is_direct_push = models.BooleanField()
    is_signed = models.BooleanField(null=True)

    class Meta:
        db_table = "fact_commit"
        constraints = [models.UniqueConstraint(fields=["project", "commit_id"], name="fact_commit_key")]
        indexes = [models.Index(fields=["project", "committed_at"], name="fact_commit_when")]


class FactForcePush(models.Model):
    """A head move of a protected branch to a commit that does not have the old head in its history."""

    project = of_project()
    push_key = models.TextField(help_text="push:ID or head:ID.")
    branch = models.TextField()
    at = models.DateTimeField()

    class Meta:
        db_table = "fact_force_push"
        constraints = [models.UniqueConstraint(fields=["project", "push_key"], name="fact_force_push_key")]


class FactGitHygiene(models.Model):
    """The PRD's daily counts of one project, by local day; a row only where something happened."""

    project = of_project()
    day = models.DateField()
    direct_pushes_default = models.IntegerField()
    force_pushes_protected = models.IntegerField()
    unsigned_commit_count = models.IntegerField(
        null=True, help_text="Null where GitLab did not say of every commit whether it is signed."
    )

    class Meta:
        db_table = "fact_git_hygiene"
        constraints = [models.UniqueConstraint(fields=["project", "day"], name="fact_git_hygiene_key")]


class Scope(models.Model):
    """Something a value is about: the org, a business line, a team or a repo. `key` is its address."""

    class Kind(models.TextChoices):
        ORG = "org"
        BUSINESS_LINE = "business_line"
        TEAM = "team"
        REPO = "repo"

    key = models.TextField(unique=True, help_text="org, business_line:NAME, team:NAME or repo:FULL/PATH")
    kind = models.CharField(max_length=16, choices=Kind)
    business_line = models.TextField(blank=True)
    team = models.TextField(blank=True)
    repo = models.TextField(blank=True)
    project = of_project(null=True, blank=True)
    is_current = models.BooleanField(default=True, help_text="It exists in the org as placed now.")

    class Meta:
        db_table = "metric_scope"
        ordering = ["business_line", "team", "repo"]

    def __str__(self) -> str:
        return self.key


class AnyValue(models.Model):
    """What a value of a metric is made of, in its table and for the admin."""

    day = models.DateField()
    metric = models.CharField(max_length=64)
    window = models.CharField(max_length=4)
    scope = models.ForeignKey(
        Scope, on_delete=models.CASCADE, related_name="+", db_constraint=False, db_index=False
    )
    numerator = models.BigIntegerField(null=True)
    denominator = models.BigIntegerField(null=True)
    value = models.DecimalField(max_digits=24, decimal_places=4, null=True)
    low = models.DecimalField(
        max_digits=24, decimal_places=4, null=True,
        help_text="Lower end of the 95 % interval of a ratio or percentile; null where the sample has none.",
    )  # fmt: skip
    high = models.DecimalField(max_digits=24, decimal_places=4, null=True, help_text="Its upper end.")
    n = models.BigIntegerField()
    reason = models.CharField(
        max_length=32, blank=True, help_text="Why there is no value, from the closed list."
    )

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return f"{self.metric} {self.day}"


class MetricDaily(AnyValue):
    """One value: numerator / denominator is exact, `value` is it at four places, halves away from zero.

    By day first: a day's values come, and are read, together. Whoever wants a series names its days. A number
    of its own for each row would take as long to write as all the rest.
    """

    pk = models.CompositePrimaryKey("day", "scope", "metric", "window")

    class Meta:
        db_table = "metric_daily"


class MetricValue(AnyValue):
    """The same values for the admin, which knows no composite keys: a view whose key is a text."""

    key = models.TextField(primary_key=True)

    class Meta:
        managed = False
        db_table = "metric_value"


class Finding(models.Model):
    """Something in the data that cannot be true, by entity. It left the sample and is shown instead."""

    project = of_project()
    kind = models.CharField(max_length=64)
    entity = models.CharField(max_length=64)
    entity_id = models.TextField()
    detail = models.TextField(blank=True)

    class Meta:
        db_table = "finding"
        constraints = [
            models.UniqueConstraint(fields=["project", "kind", "entity", "entity_id"], name="finding_key")
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.entity} {self.entity_id}"


class ParitySample(models.Model):
    """One check: what we hold against what GitLab says when it is asked again by another route."""

    class Cause(models.TextChoices):
        LATE_UPDATE = "late_update"
        CHILD_PIPELINE = "child_pipeline"
        TIME_ZONE = "time_zone"
        DELETED = "deleted"
        PERMISSION = "permission"
        BUG = "bug"

    run_id = models.BigIntegerField()
    project = of_project()
    entity = models.CharField(max_length=64, help_text="The list whose rows are compared or counted.")
    subject = models.TextField(help_text="The merge request's number, or count.")
    field = models.CharField(max_length=64)
    ours = models.TextField()
    theirs = models.TextField(blank=True, help_text="Empty where GitLab did not show it.")
    agrees = models.BooleanField()
    cause = models.CharField(max_length=32, choices=Cause, blank=True, help_text="Of a mismatch.")
    since = models.DateTimeField(help_text="What is counted was updated from then on,")
    until = models.DateTimeField(help_text="and until then: as far as we had read.")
    asked_at = models.DateTimeField()
    agrees_now = models.BooleanField(
        null=True, help_text="Of a mismatch: whether it agreed once it was fetched again."
    )

    class Meta:
        db_table = "parity_sample"
        constraints = [
            models.UniqueConstraint(
                fields=["run_id", "project", "entity", "subject", "field"], name="parity_sample_key"
            )
        ]
        indexes = [
            models.Index(
                fields=["run_id"],
                condition=models.Q(agrees=False, agrees_now__isnull=True),
                name="parity_sample_open",
            )
        ]

    def __str__(self) -> str:
        return f"{self.entity} {self.subject} {self.field}"


class QualityIncident(models.Model):
    """The numbers are not to be trusted: red until a person closes it with its cause and a note."""

    class Kind(models.TextChoices):
        PARITY = "parity"
        DRIFT = "drift"

    kind = models.CharField(max_length=16, choices=Kind)
    run_id = models.BigIntegerField(help_text="The run that opened it.")
    opened_at = models.DateTimeField()
    what = models.TextField(help_text="What was found first.")
    timeline = models.JSONField(default=list, help_text="Every finding, in order: at, run, what.")
    owner = models.TextField(blank=True)
    cause = models.TextField(blank=True)
    closing_note = models.TextField(blank=True)
    closed_at = models.DateTimeField(null=True, blank=True)
    closed_by = models.TextField(blank=True)

    class Meta:
        db_table = "quality_incident"
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["kind"], condition=models.Q(closed_at=None), name="quality_incident_one_open"
            ),
            models.CheckConstraint(
                condition=models.Q(closed_at=None) | (~models.Q(cause="") & ~models.Q(closing_note="")),
                name="quality_incident_closed_with_words",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind}, {self.opened_at:%Y-%m-%d}"
