"""The ledger of runs and steps, to look at."""

from django.contrib import admin

from apps.runs.models import Run, RunStep
from tem.admin import Large, ReadOnly, one_of


@admin.register(Run)
class Runs(ReadOnly):
    list_display = ("id", "kind", "slot", "state", "phase", "requested_at", "finished_at", "reason")
    list_filter = ("state", "kind")
    search_fields = ("slot", "reason")


@admin.register(RunStep)
class RunSteps(Large):
    list_display = ("id", "run", "phase", "project_id", "state", "attempt", "rows", "requests", "error_class")
    list_filter = (one_of("state", *RunStep.State.values),)
    list_select_related = ("run",)
    search_fields = ("project_id__exact", "run__id__exact")
