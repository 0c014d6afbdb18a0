"""Placement, values and findings, to look at."""

from django.contrib import admin

from apps.metrics.models import Finding, MetricDaily, PlacedProject, Scope
from tem.admin import Large, ReadOnly


@admin.register(PlacedProject)
class PlacedProjects(ReadOnly):
    list_display = ("path", "business_line", "team", "production_infer", "rules_version")
    list_filter = ("business_line", "team")
    search_fields = ("path",)


@admin.register(Scope)
class Scopes(ReadOnly):
    list_display = ("key", "kind", "business_line", "team", "is_current")
    list_filter = ("kind", "is_current")
    search_fields = ("key",)


@admin.register(MetricDaily)
class MetricValues(Large):
    list_display = ("day", "metric", "window", "scope", "value", "n", "reason")
    list_select_related = ("scope",)
    search_fields = ("scope__key__exact",)
    search_help_text = "A scope such as org, team:Trading or repo:toman/core/price-feed"


@admin.register(Finding)
class Findings(Large):
    list_display = ("project", "kind", "entity", "entity_id", "detail")
    list_select_related = ("project",)
    search_fields = ("project__path_with_namespace__exact",)
