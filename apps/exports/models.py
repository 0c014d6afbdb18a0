"""The ledger of published files: what was written for which day, when, by which run, and why again."""

from django.db import models


class Artifact(models.Model):
    """One version of one published file. The greatest version of a (day, format) is the one that stands."""

    class Format(models.TextChoices):
        JSON = "json"
        CSV = "csv"

    day = models.DateField()
    format = models.CharField(max_length=16, choices=Format)
    version = models.PositiveIntegerField(help_text="1 for the first; a restatement adds one.")
    sha256 = models.CharField(max_length=64, help_text="Of the file's bytes.")
    content_sha256 = models.CharField(
        max_length=64,
        help_text="Of what the file says about the day; who wrote it and the coverage of the moment aside.",
    )
    size = models.BigIntegerField(help_text="Bytes.")
    rules_version = models.BigIntegerField()
    run_id = models.BigIntegerField(null=True, blank=True, help_text="Null: written by hand, before any run.")
    reason = models.TextField(blank=True, help_text="Why it was written again; empty for the first version.")
    written_at = models.DateTimeField()

    class Meta:
        db_table = "artifact"
        ordering = ["-day", "format", "-version"]
        constraints = [models.UniqueConstraint(fields=["day", "format", "version"], name="artifact_version")]

    def __str__(self) -> str:
        return f"{self.day}.{self.format} v{self.version}"
