"""The organisation: business lines, teams, what they own, and the append-only record of rules."""

from django.db import models
from django.db.models import Q


class Organisation(models.Model):
    """The one organisation that this installation serves."""

    name = models.CharField(max_length=200, unique=True)
    root_groups = models.JSONField(default=list, help_text="Full paths of the groups that are collected.")
    bots = models.JSONField(default=list, help_text="User names and author names that are no people.")
    imported_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        db_table = "organisation"

    def __str__(self) -> str:
        return self.name


class BusinessLine(models.Model):
    name = models.CharField(max_length=200, unique=True)
    owner = models.CharField(max_length=200, blank=True)

    class Meta:
        db_table = "business_line"
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class Team(models.Model):
    name = models.CharField(max_length=200, unique=True)
    business_line = models.ForeignKey(BusinessLine, on_delete=models.PROTECT, related_name="teams")
    owner = models.CharField(max_length=200, blank=True)

    class Meta:
        db_table = "team"
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class Claim(models.Model):
    """A group or a single project that belongs to a team, or a group that belongs to a business line."""

    class Kind(models.TextChoices):
        GROUP = "group"
        PROJECT = "project"

    kind = models.CharField(max_length=16, choices=Kind)
    path = models.CharField(max_length=1024, unique=True, help_text="Full path in GitLab.")
    business_line = models.ForeignKey(BusinessLine, null=True, blank=True, on_delete=models.CASCADE)
    team = models.ForeignKey(Team, null=True, blank=True, on_delete=models.CASCADE)

    class Meta:
        db_table = "claim"
        ordering = ["path"]
        constraints = [
            models.CheckConstraint(
                condition=Q(business_line__isnull=False, team__isnull=True)
                | Q(business_line__isnull=True, team__isnull=False),
                name="claim_has_one_owner",
            )
        ]

    def __str__(self) -> str:
        return self.path


class RuleChange(models.Model):
    """One change of one rule at one level. Never updated: the newest change of a rule is in force."""

    class Level(models.TextChoices):
        DEFAULT = "default"
        BUSINESS_LINE = "business_line"
        TEAM = "team"
        REPO = "repo"

    version = models.BigAutoField(primary_key=True)
    level = models.CharField(max_length=16, choices=Level)
    target = models.CharField(
        max_length=1024, blank=True, help_text="Line, team or full path; empty for the default."
    )
    rule = models.CharField(max_length=64, help_text="A field of Rules.")
    value = models.JSONField(null=True, help_text="Null takes the override away.")
    changed_at = models.DateTimeField()
    changed_by = models.CharField(max_length=150)
    reason = models.TextField(blank=True)

    class Meta:
        db_table = "rule_change"
        ordering = ["-version"]
        indexes = [models.Index(fields=["level", "target", "rule", "-version"], name="rule_in_force")]

    def __str__(self) -> str:
        return f"{self.version}: {self.rule}"
