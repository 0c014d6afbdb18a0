"""The ledger of published files, to look at."""

from django.contrib import admin

from apps.exports.models import Artifact
from tem.admin import ReadOnly


@admin.register(Artifact)
class Artifacts(ReadOnly):
    list_display = ("day", "format", "version", "size", "rules_version", "run_id", "reason", "written_at")
    list_filter = ("format",)
    search_fields = ("sha256", "reason")
    date_hierarchy = "day"
