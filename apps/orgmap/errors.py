"""What can be wrong with the organisation.

TemError
└── OrgFileInvalid    every mistake in the file, each with its line
"""

from tem.errors import TemError


class OrgFileInvalid(TemError):
    """The org file cannot be used. `problems` are sentences for people, one a mistake."""

    def __init__(self, path: str, problems: list[str]) -> None:
        self.problems = problems
        super().__init__("\n".join([f"{path} cannot be used:", *(f"  - {problem}" for problem in problems)]))
