"""The Django app that carries TEM's own commands."""

from django.apps import AppConfig
from django.db.backends.signals import connection_created

from tem.lines import have_server_look


class TemConfig(AppConfig):
    name = "tem"
    verbose_name = "Toman Engineering Metrics"

    def ready(self) -> None:
        # `shared_task` binds to the current Celery app: it has to exist in every Django process.
        from tem import celery  # noqa: F401  (imported for its effect)

        connection_created.connect(have_server_look)
