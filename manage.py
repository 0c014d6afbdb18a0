#!/usr/bin/env python
"""TEM's commands. One that needs the embedded services gets them for its own duration."""

import os
import sys

# These neither read nor write the database, or look after the servers themselves.
WITHOUT_SERVICES = {
    "check", "collectstatic", "compilemessages", "diffsettings", "embedded", "findstatic", "help",
    "makemessages", "makemigrations", "sqlmigrate", "startapp", "version",
}  # fmt: skip


def needs_services(arguments: list[str]) -> bool:
    """Whether this command line will want a database, as far as one can tell before Django runs."""
    if not arguments or arguments[0] in WITHOUT_SERVICES or arguments[0].startswith("-"):
        return False
    return not {"-h", "--help"} & set(arguments)


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tem.settings")
    from django.core.management import execute_from_command_line

    if needs_services(sys.argv[1:]):
        hold_services()
    execute_from_command_line(sys.argv)


def hold_services() -> None:
    """Have the embedded services run while we do, unless the user brought both of their own."""
    from tem import embedded
    from tem.environment import home_from
    from tem.servers import ServerFailed

    given = [
        os.environ.get(name) or os.environ.get(f"{name}_FILE")
        for name in ("TEM_DB_CONNECTION", "TEM_REDIS_URL")
    ]
    if all(given):
        return
    try:
        embedded.hold(home_from(os.environ))
    except ServerFailed as failure:
        sys.exit(f"The embedded services could not be started: {failure}")


if __name__ == "__main__":
    main()
