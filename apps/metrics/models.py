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

    class Meta:
        db_table = "placed_project"
        ordering = ["path"]

    def __str__(self) -> str:
        return self.path


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


class MetricDaily(models.Model):
    """One value: numerator / denominator is exact, `value` is it at four places, halves away from zero."""

    day = models.DateField()
    metric = models.CharField(max_length=64)
    window = models.CharField(max_length=4)
    scope = models.ForeignKey(Scope, on_delete=models.CASCADE, related_name="+")
    numerator = models.BigIntegerField(null=True)
    denominator = models.BigIntegerField(null=True)
    value = models.DecimalField(max_digits=24, decimal_places=4, null=True)
    n = models.BigIntegerField()
    reason = models.CharField(
        max_length=32, blank=True, help_text="Why there is no value, from the closed list."
    )

    class Meta:
        db_table = "metric_daily"
        constraints = [
            models.UniqueConstraint(fields=["scope", "metric", "window", "day"], name="metric_daily_key"),
        ]
        indexes = [models.Index(fields=["day"], name="metric_daily_day")]

    def __str__(self) -> str:
        return f"{self.metric} {self.day}"


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
