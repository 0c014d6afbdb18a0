"""Every address that TEM answers."""

from django.contrib import admin
from django.urls import include, path

from tem import run_pages, schedule_pages  # noqa: F401  (they register pages in the admin)
from tem.hooks import gitlab_hook

urlpatterns = [
    path("hooks/gitlab", gitlab_hook, name="gitlab-hook"),
    path("admin/", admin.site.urls),
    path("", include("tem.ops")),
    path("", include("apps.exports.urls")),
]
