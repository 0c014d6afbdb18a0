"""Every list and every row of the admin opens, for every model that is registered."""

import datetime as dt

import pytest
from django.apps import apps
from django.contrib import admin
from django.contrib.auth.models import User
from django.db import models
from django.urls import reverse

from apps.exports.tests import house
from apps.metrics.models import MetricDaily, MetricValue
from apps.orgmap.models import RuleChange
from tem.admin import Large, ReadOnly, navigation

pytestmark = pytest.mark.django_db
MODELS = sorted(admin.site._registry, key=lambda model: model._meta.label)
OURS = ("orgmap", "runs", "collector", "metrics", "exports")
_SAMPLES = {
    models.BigIntegerField: 7,
    models.IntegerField: 7,
    models.PositiveIntegerField: 1,
    models.PositiveSmallIntegerField: 1,
    models.DateTimeField: house.NOW,
    models.DateField: dt.date(2025, 9, 4),
    models.BooleanField: True,
    models.JSONField: {"a": [1]},
    models.DecimalField: "1.5",
    models.FloatField: 1.5,
}


def sample(model: type[models.Model]) -> models.Model:
    """A stored row of any model, every column filled; what is there already is taken."""
    if model is MetricValue:  # a view
        sample(MetricDaily)
    columns = {
        field.name: value_for(field)
        for field in model._meta.concrete_fields
        if not isinstance(field, models.AutoField | models.BigAutoField)
    }
    return model.objects.first() or model.objects.bulk_create([model(**columns)])[0]


def value_for(field: models.Field) -> object:
    if field.remote_field:
        return sample(field.related_model)
    if field.choices:
        return field.choices[0][0]
    if hasattr(field, "base_field"):
        return [value_for(field.base_field)]
    return next((value for kind, value in _SAMPLES.items() if type(field) is kind), "text")


@pytest.fixture
def operator(client, db):
    client.force_login(User.objects.create(username="root", is_staff=True, is_superuser=True))
    return client


@pytest.fixture
def rows(db):
    house.build()
    run = house.run(state="done", slot="2025-09-06")
    run.steps.create(phase="collect", project_id=7)


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model._meta.label)
def test_every_list_and_every_row_opens(operator, rows, model):
    row = sample(model)
    name = f"admin:{model._meta.app_label}_{model._meta.model_name}"
    lists, opened = reverse(f"{name}_changelist"), reverse(f"{name}_change", args=[row.pk])
    for address in (lists, f"{lists}?q=toman/exchange", f"{lists}?q=7", opened):
        response = operator.get(address)
        assert response.status_code == 200, address
        assert b"unfold" in response.content


def test_every_model_of_ours_is_registered():
    assert {m for m in models_of_ours() if m not in admin.site._registry} == set()


def models_of_ours() -> list[type[models.Model]]:
    """All but those whose key is of several columns: the admin refuses them, and shows them by a view."""
    known = (model for label in OURS for model in apps.get_app_config(label).get_models())
    return [model for model in known if not isinstance(model._meta.pk, models.CompositePrimaryKey)]


MADE_BY_RUNS = [model for model in models_of_ours() if model._meta.app_label != "orgmap"]


@pytest.mark.parametrize("model", [*MADE_BY_RUNS, RuleChange], ids=lambda model: model._meta.label)
def test_what_runs_make_is_not_edited_by_hand(operator, rows, rf, model):
    request = rf.get("/admin/")
    request.user = User.objects.get(username="root")
    site = admin.site._registry[model]
    assert isinstance(site, ReadOnly)
    assert not (
        site.has_add_permission(request)
        or site.has_change_permission(request)
        or site.has_delete_permission(request)
    )


def test_large_tables_are_never_counted(operator, rows, django_assert_num_queries):
    for model, site in admin.site._registry.items():
        if isinstance(site, Large):
            address = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
            with django_assert_num_queries(3) as ran:  # session, user, the page itself
                operator.get(address)
            assert not any("COUNT(" in query["sql"] for query in ran.captured_queries)


def test_the_sidebar_leads_to_pages_that_exist(operator, rf):
    request = rf.get("/admin/")
    request.user = User.objects.get(username="root")
    for group in navigation(request):
        for item in group["items"]:
            assert operator.get(str(item["link"])).status_code == 200, item["title"]


def test_the_admin_carries_our_name(client, db):
    assert "TEM" in client.get("/admin/login/").content.decode()
