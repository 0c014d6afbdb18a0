"""The addresses of the pages and of the published files."""

from django.urls import path, re_path

from apps.exports import views

urlpatterns = [
    path("", views.dashboard, name="dashboard"),
    path("evidence/", views.evidence, name="evidence"),
    re_path(r"^exports/daily/(?P<day>[^/.]+)\.(?P<form>json|csv)$", views.daily_file, name="daily-file"),
]
