"""The org tree, to edit; the rules, as the append-only history they are."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from unfold.admin import ModelAdmin

from apps.orgmap.models import BusinessLine, Claim, Organisation, RuleChange, Team
from tem.admin import ReadOnly


@admin.register(Organisation)
class Organisations(ModelAdmin):
    list_display = ("name", "root_groups", "imported_at")
    readonly_fields = ("imported_at",)

    def has_add_permission(self, request: HttpRequest, *args: Any) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(BusinessLine)
class BusinessLines(ModelAdmin):
    list_display = ("name", "owner")
    search_fields = ("name", "owner")


@admin.register(Team)
class Teams(ModelAdmin):
    list_display = ("name", "business_line", "owner")
    list_filter = ("business_line",)
    list_select_related = ("business_line",)
    search_fields = ("name", "owner")


@admin.register(Claim)
class Claims(ModelAdmin):
    list_display = ("path", "kind", "business_line", "team")
    list_filter = ("kind", "business_line")
    list_select_related = ("business_line", "team")
    search_fields = ("path",)


@admin.register(RuleChange)
class RuleChanges(ReadOnly):
    list_display = ("version", "level", "target", "rule", "value", "changed_at", "changed_by", "reason")
    list_filter = ("level", "rule")
    search_fields = ("target", "rule", "reason", "changed_by")
