"""`manage.py prepare`: what has to be there before the product starts, in one process.

Migrates, lays out the org tree of an empty database, and makes the first login.
"""

from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError

from apps.orgmap.import_org import seed_if_empty
from tem import clock
from tem.environment import kept_secret
from tem.errors import TemError


class Command(BaseCommand):
    help = (
        "Migrate, seed the org tree from TEM_ORG_FILE and make the first login, each only where it is absent."
    )
    requires_system_checks: list[str] = []

    def handle(self, *args: Any, **options: Any) -> None:
        call_command("migrate", interactive=False, verbosity=0)
        self.org_tree()
        self.first_login()

    def org_tree(self) -> None:
        try:
            seed_if_empty(str(settings.TEM_ORG_FILE), now=clock.now())
        except TemError as error:
            raise CommandError(f"TEM_ORG_FILE: {error}") from error

    def first_login(self) -> None:
        """The user admin, whose password is kept in TEM_HOME, unless somebody may sign in already."""
        users = get_user_model().objects
        if not users.filter(is_superuser=True).exists():
            password = kept_secret(settings.TEM_HOME, "admin_password", size=12)
            users.create_superuser(username="admin", email="", password=password)
