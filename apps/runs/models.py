"""The ledger's tables: what was accepted, what is due, who holds it. Knows no step's meaning."""

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Coalesce

OPEN = ["pending", "leased"]


class Run(models.Model):
    """One accepted piece of work of a kind, for one logical slot."""

    class State(models.TextChoices):
        ACTIVE = "active"
        DONE = "done"
        PARTIAL = "partial"
        FAILED = "failed"
        CANCELLED = "cancelled"

    kind = models.CharField(max_length=32)
    slot = models.CharField(max_length=64, help_text="The logical occasion: 2025-09-05, or a request's id.")
    state = models.CharField(max_length=16, choices=State, default=State.ACTIVE)
    parameters = models.JSONField(default=dict, help_text="Days, first and last day: never a secret.")
    phase = models.CharField(max_length=32, blank=True, help_text="The phase that is open now.")
    requested_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True, blank=True)
    reason = models.TextField(blank=True, help_text="Why it is partial or failed, or who cancelled it.")
    summary = models.JSONField(default=dict, help_text="Figures noted when it was finalised.")
    parallelism = models.PositiveSmallIntegerField(
        null=True, blank=True, help_text="Steps at once, in a second attempt; empty: as many as workers take."
    )

    joined = False  # set on the copy that `open_run` answers: the run was under way already

    class Meta:
        db_table = "run"
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(fields=["kind", "slot"], name="run_once_per_slot"),
            models.UniqueConstraint(
                fields=["kind"], condition=Q(state="active"), name="run_one_active_per_kind"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.slot}"


class RunStep(models.Model):
    """One unit of a run: a phase, for one project or for all of them."""

    class State(models.TextChoices):
        PENDING = "pending"
        LEASED = "leased"
        DONE = "done"
        FAILED = "failed"
        QUARANTINED = "quarantined"
        WAITING = "waiting"  # to be done again once its phase opens

    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="steps")
    phase = models.CharField(max_length=32)
    project_id = models.BigIntegerField(null=True, blank=True, help_text="Null: for all projects.")
    label = models.TextField(blank=True, help_text="What people call the project.")
    state = models.CharField(max_length=16, choices=State, default=State.PENDING)
    attempt = models.PositiveSmallIntegerField(default=0, help_text="Claims without success.")
    fence = models.BigIntegerField(default=0, help_text="Grows with each claim; an old one is refused.")
    holder = models.CharField(max_length=200, blank=True, help_text="The process that claimed it last.")
    lease_until = models.DateTimeField(null=True, blank=True)
    not_before = models.DateTimeField(null=True, blank=True)
    hinted_at = models.DateTimeField(null=True, blank=True, help_text="When a worker was last told of it.")
    cursor = models.JSONField(default=dict)
    rows = models.BigIntegerField(default=0)
    requests = models.BigIntegerField(default=0)
    error_class = models.CharField(max_length=120, blank=True)
    error_text = models.TextField(blank=True)
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        db_table = "run_step"
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(F("run"), F("phase"), Coalesce("project_id", 0), name="run_step_once"),
            # One writer a project, and one step for all of them at a time, whatever runs are under way.
            models.UniqueConstraint(
                Coalesce("project_id", 0), condition=Q(state="leased"), name="run_step_one_writer"
            ),
        ]
        indexes = [
            models.Index(fields=["state", "not_before"], condition=Q(state__in=OPEN), name="run_step_due"),
        ]

    def __str__(self) -> str:
        return f"{self.phase} {self.label or self.project_id or 'all'}"


class RunAction(models.Model):
    """What somebody had done to a run, kept for good: one row a request, whatever door it came through."""

    class What(models.TextChoices):
        START = "start"
        CANCEL = "cancel"
        RETRY = "retry"

    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="actions")
    what = models.CharField(max_length=16, choices=What)
    asked = models.JSONField(
        default=dict, help_text="Days of a run; the cause or step that a retry is limited to."
    )
    who = models.CharField(max_length=200)
    at = models.DateTimeField()
    key = models.CharField(
        max_length=200, unique=True, help_text="The request's: sent again, it does nothing."
    )
    steps = models.JSONField(default=list, help_text="The numbers of the steps that it touched.")
    answer = models.TextField(help_text="What the person was told.")

    class Meta:
        db_table = "run_action"
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"{self.what} of run {self.run_id} by {self.who}"


class Alert(models.Model):
    """Something that people are told of, once an occasion; kept for good. `alerts` has the kinds."""

    kind = models.CharField(max_length=32)
    occasion = models.CharField(max_length=120, help_text="What it is told of once: a slot, a run, a token.")
    run = models.ForeignKey(Run, on_delete=models.SET_NULL, null=True, blank=True, related_name="alerts")
    text = models.TextField()
    raised_at = models.DateTimeField()
    next_at = models.DateTimeField(
        null=True, blank=True, help_text="When it is sent to the channels that have not got it; empty: done."
    )
    attempts = models.PositiveSmallIntegerField(default=0)
    told = models.JSONField(default=dict, help_text="When each channel got it.")

    class Meta:
        db_table = "alert"
        ordering = ["-id"]
        constraints = [models.UniqueConstraint(fields=["kind", "occasion"], name="alert_once")]
        indexes = [models.Index(fields=["next_at"], condition=Q(next_at__isnull=False), name="alert_due")]

    def __str__(self) -> str:
        return f"{self.kind} {self.occasion}"
