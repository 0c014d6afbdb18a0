from django.apps import AppConfig


class OrgmapConfig(AppConfig):
    name = "apps.orgmap"
    verbose_name = "Organisation"
