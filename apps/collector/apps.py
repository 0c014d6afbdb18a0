from django.apps import AppConfig


class CollectorConfig(AppConfig):
    name = "apps.collector"
    verbose_name = "Collected from GitLab"
