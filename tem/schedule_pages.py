"""The schedule in the admin: which kinds are due when. Stands on the roof, for times become slots of runs."""

from __future__ import annotations

from typing import Any

from django import forms
from django.conf import settings
from django.contrib import admin
from django.http import HttpRequest
from django_celery_beat.models import CrontabSchedule, IntervalSchedule, PeriodicTask
from unfold.admin import ModelAdmin

from apps.runs import slots
from tem import admin as _  # noqa: F401  (it takes back what the package registered)
from tem.schedule import RUNS_AT


class WhenForm(forms.ModelForm):
    """The times of a run turn into slots (`apps.runs.slots`), so they are a crontab in our own zone."""

    class Meta:
        model = PeriodicTask
        fields = ("enabled", "crontab", "interval")

    def clean_crontab(self) -> CrontabSchedule | None:
        times = self.cleaned_data["crontab"]
        if self.instance.name not in {entry.name for entry in RUNS_AT}:
            return times
        if times is None:
            raise forms.ValidationError("Runs are due at local times: choose a crontab.")
        if str(times.timezone) != settings.TEM_TIMEZONE:
            raise forms.ValidationError(f"Days are those of {settings.TEM_TIMEZONE}: choose its time zone.")
        return times


@admin.register(PeriodicTask)
class Schedule(ModelAdmin):
    """What beat starts and when; the broker's own options stay out of it."""

    form = WhenForm
    list_display = ("name", "enabled", "crontab", "interval", "last_run_at")
    list_select_related = ("crontab", "interval")
    fields = ("name", "task", "enabled", "crontab", "interval", "kwargs", "expire_seconds", "last_run_at")
    readonly_fields = ("name", "task", "last_run_at")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False


class LocalTimesForm(forms.ModelForm):
    """Times that nobody can read would stop every tick: they are refused here."""

    class Meta:
        model = CrontabSchedule
        fields = ("minute", "hour", "day_of_month", "month_of_year", "day_of_week", "timezone")

    def clean(self) -> dict[str, Any]:
        told = super().clean() or self.cleaned_data
        try:
            slots.Times.of_fields(CrontabSchedule(**{k: v for k, v in told.items() if k in self.fields}))
        except slots.NOT_UNDERSTOOD as error:
            raise forms.ValidationError(f"These times cannot be: {error}") from None
        return told


@admin.register(CrontabSchedule)
class LocalTimes(ModelAdmin):
    form = LocalTimesForm


@admin.register(IntervalSchedule)
class Intervals(ModelAdmin):
    pass
