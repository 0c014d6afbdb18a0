"""Runs and steps in the admin: looked at, cancelled, and what they lost retried, by cause or one by one.

Stands on the roof, for a retry needs the plan of the run. Every button posts, with a key of its own.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils.decorators import method_decorator
from django.views.decorators.http import require_POST
from unfold.widgets import UnfoldAdminIntegerFieldWidget, UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from apps.runs import controls as ledger
from apps.runs.alerts import KINDS
from apps.runs.errors import NotNow
from apps.runs.models import Alert, Run, RunAction, RunStep
from apps.runs.phases import LEFT_OUT
from tem import clock, controls, deadline, history
from tem.admin import Large, ReadOnly, one_of

MOST = 200  # of one list action: each is a transaction of its own


def told(request: HttpRequest, act: Callable[[], RunAction]) -> None:
    """Do it and tell the person what came of it, or why it could not be."""
    try:
        action = act()
    except NotNow as refusal:
        messages.warning(request, str(refusal))
    else:
        messages.success(request, action.answer)


def order(request: HttpRequest, *, part: str = "") -> ledger.Order:
    """The form's key makes a double click one request; `part` tells apart what one form does to several."""
    key = f"{request.POST.get('key') or uuid.uuid4()}"[:60] + part
    return controls.order(request.user.get_username(), now=clock.now(), key=key)


class StartForm(forms.Form):
    """What to have the product do once."""

    kind = forms.ChoiceField(
        choices=[
            ("incremental", "Incremental: what moved since the last run"),
            ("recompute", "Recompute: the days from first to last, from what is stored"),
            ("backfill", "Backfill: collect so many days anew"),
            ("nightly", "Nightly: as every night"),
            ("weekly", "Weekly: as on Sundays, in depth"),
            ("parity", "Parity: ask GitLab again whether we agree"),
        ],
        widget=UnfoldAdminSelectWidget,
    )
    days = forms.IntegerField(
        required=False, min_value=1, max_value=history.LONGEST_DAYS, help_text="Of a backfill.",
        widget=UnfoldAdminIntegerFieldWidget,
    )  # fmt: skip
    first = forms.DateField(
        required=False, widget=UnfoldAdminTextInputWidget(attrs={"type": "date"}),
        help_text="Of a recompute; empty: the first day of history.",
    )  # fmt: skip
    last = forms.DateField(
        required=False, widget=UnfoldAdminTextInputWidget(attrs={"type": "date"}),
        help_text="Of a recompute; empty: today.",
    )  # fmt: skip

    def asked(self) -> dict[str, Any]:
        """The arguments that the kind has; what was typed for another kind is left out."""
        own = {"backfill": ("days",), "recompute": ("first", "last")}.get(self.cleaned_data["kind"], ())
        return {name: self.cleaned_data[name] for name in own if self.cleaned_data[name] is not None}


@admin.register(Run)
class Runs(ReadOnly):
    list_display = ("id", "kind", "slot", "state", "phase", "requested_at", "finished_at", "reason")
    list_filter = ("state", "kind")
    search_fields = ("slot", "reason")
    actions = ("retry_lost", "cancel_runs")
    change_form_outer_before_template = "runs/lost.html"
    list_before_template = "runs/start_link.html"

    def get_urls(self) -> list[Any]:
        view = self.admin_site.admin_view
        ours = [
            path("<int:run_id>/retry/", view(self.retry_view), name="runs_run_retry"),
            path("start/", view(self.start_view), name="runs_run_start"),
        ]
        return [*ours, *super().get_urls()]

    def start_view(self, request: HttpRequest) -> HttpResponse:
        """The form, and what it posts to: the run that it opened or joined is shown."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        form = StartForm(request.POST or None)
        if form.is_valid():
            try:
                run = controls.start(form.cleaned_data["kind"], order=order(request), **form.asked())
            except (NotNow, history.BadRequest, history.NoHistory) as refusal:
                form.add_error(None, str(refusal))
            else:
                said = "is under way already" if run.joined else "was opened"
                messages.success(request, f"Run {run.pk} {said}.")
                return HttpResponseRedirect(reverse("admin:runs_run_change", args=[run.pk]))
        context = {**self.admin_site.each_context(request), "title": "Start a run", "form": form}
        return TemplateResponse(request, "runs/start.html", {**context, "key": str(uuid.uuid4())})

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        """The run with its lost steps by cause, what people did to it, and the buttons."""
        run = Run.objects.filter(pk=object_id).first() if object_id.isdecimal() else None
        lost = {"run": run, "causes": ledger.causes(run), "acts": run.actions.all()[:20]} if run else {}
        found = deadline.expected(run, now=clock.now()) if run else None
        due = {"forecast": found, "deadline": deadline.of(run) if run else None}
        context = {**lost, **due, "key": str(uuid.uuid4()), **(extra_context or {})}
        return super().change_view(request, object_id, form_url, context)

    @method_decorator(require_POST)
    def retry_view(self, request: HttpRequest, run_id: int) -> HttpResponse:
        """What the buttons of the run's page post to."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        get_object_or_404(Run, pk=run_id)
        cause, key = request.POST.get("cause", ""), order(request)
        told(request, lambda: controls.retry(run_id, order=key, cause=cause))
        return HttpResponseRedirect(reverse("admin:runs_run_change", args=[run_id]))

    @admin.action(description="Retry what was lost")
    def retry_lost(self, request: HttpRequest, runs: QuerySet[Run]) -> None:
        for run in runs[:MOST]:
            key = order(request, part=f":{run.pk}")
            told(request, lambda run=run, key=key: controls.retry(run.pk, order=key))  # type: ignore[misc]

    @admin.action(description="Cancel, after a question")
    def cancel_runs(self, request: HttpRequest, runs: QuerySet[Run]) -> HttpResponse | None:
        if "sure" not in request.POST:
            context = {**self.admin_site.each_context(request), "title": "Cancel runs", "runs": runs[:MOST]}
            return TemplateResponse(request, "runs/cancel.html", {**context, "key": str(uuid.uuid4())})
        for run in runs[:MOST]:
            key = order(request, part=f":{run.pk}")
            told(request, lambda run=run, key=key: controls.cancel(run.pk, order=key))  # type: ignore[misc]
        return None


@admin.register(RunStep)
class RunSteps(Large):
    list_display = ("id", "run", "phase", "project_id", "state", "attempt", "rows", "requests", "error_class")
    list_filter = (one_of("state", *RunStep.State.values),)
    list_select_related = ("run",)
    search_fields = ("project_id__exact", "run__id__exact")
    actions = ("retry_steps",)

    @admin.action(description="Retry these steps")
    def retry_steps(self, request: HttpRequest, steps: QuerySet[RunStep]) -> None:
        """Only those that were lost; the others are as they should be."""
        for step in steps.filter(state__in=LEFT_OUT)[:MOST]:
            key = order(request, part=f":{step.pk}")
            told(request, lambda step=step, key=key: controls.retry_step(step.pk, order=key))  # type: ignore[misc]


@admin.register(RunAction)
class RunActions(Large):
    list_display = ("at", "what", "run", "who", "asked", "answer")
    list_filter = (one_of("what", *RunAction.What.values),)
    list_select_related = ("run",)
    search_fields = ("run__id__exact", "who")


@admin.register(Alert)
class Alerts(Large):
    list_display = ("raised_at", "kind", "occasion", "text", "told", "attempts", "next_at")
    list_filter = (one_of("kind", *KINDS),)
    search_fields = ("run__id__exact", "occasion__exact")
