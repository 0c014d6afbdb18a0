"""What every list of the admin shares, the sidebar, the accounts. Knows tables by name only."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin, UserAdmin
from django.contrib.auth.models import Group, User
from django.http import HttpRequest
from django.urls import reverse_lazy
from django_celery_beat import admin as beat  # noqa: F401  (it registers what is registered anew below)
from django_celery_beat.models import (
    ClockedSchedule,
    CrontabSchedule,
    IntervalSchedule,
    PeriodicTask,
    SolarSchedule,
)
from unfold.admin import ModelAdmin
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm
from unfold.paginator import InfinitePaginator

admin.site.site_header = "Toman Engineering Metrics"
admin.site.site_title = "TEM"


class ReadOnly(ModelAdmin):
    """Rows that are made by runs and only looked at here."""

    def has_add_permission(self, request: HttpRequest, *args: Any) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class Large(ReadOnly):
    """Millions of rows: never counted, newest key first, searched by indexed columns only."""

    paginator = InfinitePaginator
    show_full_result_count = False
    list_per_page = 50
    ordering = ("-pk",)


class OfProject(Large):
    """Rows of projects, found by the number in column `number` or by the full path of a project."""

    number = "pk"
    list_select_related = ("project",)
    search_fields = ("project__path_with_namespace",)
    search_help_text = "A number of GitLab's, or the full path of a project"

    def get_search_results(self, request: HttpRequest, queryset: Any, search_term: str) -> tuple[Any, bool]:
        """One exact column at a time: an index answers, where Django's own search would read the table."""
        term = search_term.strip()
        column = self.number if term.isdecimal() else "project__path_with_namespace"
        return queryset.filter(**{column: term}) if term else queryset, False


def one_of(column: str, *values: str, title: str = "") -> type[admin.SimpleListFilter]:
    """A filter over known values of a text column: finding them in a large table would read all of it."""

    class OneOf(admin.SimpleListFilter):
        parameter_name = column

        def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
            return [(value, value.replace("_", " ")) for value in values]

        def queryset(self, request: HttpRequest, queryset: Any) -> Any:
            return queryset.filter(**{column: self.value()}) if self.value() else queryset

    OneOf.title = title or column.replace("_", " ")
    return OneOf


def indigo(request: HttpRequest) -> dict[str, str]:
    """The accent of our own pages, from light to dark, in place of the admin's purple."""
    steps = {
        50: "97% .015", 100: "94% .03", 200: "88% .06", 300: "80% .1", 400: "71% .14", 500: "58% .17",
        600: "45% .17", 700: "40% .16", 800: "34% .13", 900: "29% .1", 950: "20% .07",
    }  # fmt: skip
    return {str(weight): f"oklch({step} 283)" for weight, step in steps.items()}


def navigation(request: HttpRequest) -> list[dict[str, Any]]:
    """The sidebar: what was asked for first, what came from GitLab last."""
    return [
        {
            "title": title,
            "separator": True,
            "collapsible": title in _FOLDED,
            "items": [_item(*e) for e in entries],
        }
        for title, entries in _SIDEBAR.items()
    ]


def _item(title: str, icon: str, view: str, permission: str = "") -> dict[str, Any]:
    item = {"title": title, "icon": icon, "link": reverse_lazy(view)}
    if permission:
        return {**item, "permission": lambda request: request.user.has_perm(permission)}
    return {**item, "active": False}  # a page of ours, outside of the admin


def _list(title: str, icon: str, app: str, model: str) -> tuple[str, ...]:
    return title, icon, f"admin:{app}_{model}_changelist", f"{app}.view_{model}"


_FOLDED = {"Facts", "From GitLab"}
_SIDEBAR: dict[str, list[tuple[str, ...]]] = {
    "Numbers": [
        ("Dashboard", "open_in_new", "dashboard"),
        _list("Values", "table_chart", "metrics", "metricvalue"),
        _list("Scopes", "account_tree", "metrics", "scope"),
        _list("Files", "description", "exports", "artifact"),
    ],
    "Runs": [
        _list("Runs", "play_circle", "runs", "run"),
        _list("Steps", "checklist", "runs", "runstep"),
        _list("Done by people", "history", "runs", "runaction"),
        _list("Alerts", "notifications", "runs", "alert"),
        _list("Schedule", "schedule", "django_celery_beat", "periodictask"),
    ],
    "Data quality": [
        _list("Incidents", "emergency_home", "metrics", "qualityincident"),
        _list("Parity", "balance", "metrics", "paritysample"),
        _list("Left out", "block", "collector", "exclusion"),
        _list("Quarantine", "bug_report", "collector", "quarantine"),
        _list("Findings", "troubleshoot", "metrics", "finding"),
    ],
    "Organisation": [
        _list("Organisation", "domain", "orgmap", "organisation"),
        _list("Business lines", "lan", "orgmap", "businessline"),
        _list("Teams", "groups", "orgmap", "team"),
        _list("Claims", "sell", "orgmap", "claim"),
        _list("Rules", "rule", "orgmap", "rulechange"),
        _list("Placed projects", "place", "metrics", "placedproject"),
    ],
    "Facts": [
        _list("Merge requests", "merge", "metrics", "factmergerequest"),
        _list("Pipelines", "linear_scale", "metrics", "factpipeline"),
        _list("Deployments", "rocket_launch", "metrics", "factdeployment"),
        _list("Releases", "new_releases", "metrics", "factrelease"),
        _list("Git hygiene", "cleaning_services", "metrics", "factgithygiene"),
    ],
    "From GitLab": [
        _list("Projects", "folder", "collector", "project"),
        _list("Merge requests", "merge", "collector", "rawmergerequest"),
        _list("Commits", "commit", "collector", "rawcommit"),
        _list("Pipelines", "linear_scale", "collector", "rawpipeline"),
        _list("Jobs", "construction", "collector", "rawjob"),
        _list("Deployments", "rocket_launch", "collector", "rawdeployment"),
        _list("Issues", "adjust", "collector", "rawissue"),
        _list("Releases", "new_releases", "collector", "rawrelease"),
        _list("Users", "person", "collector", "user"),
        _list("Watermarks", "water", "collector", "ingestionstate"),
        _list("Server", "dns", "collector", "server"),
    ],
    "Access": [
        _list("Accounts", "key", "auth", "user"),
        _list("Groups", "group", "auth", "group"),
    ],
}

for _model in (User, Group, PeriodicTask, CrontabSchedule, IntervalSchedule, SolarSchedule, ClockedSchedule):
    if admin.site.is_registered(_model):
        admin.site.unregister(_model)


@admin.register(User)
class Accounts(UserAdmin, ModelAdmin):
    form = UserChangeForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm


@admin.register(Group)
class Groups(GroupAdmin, ModelAdmin):
    pass
