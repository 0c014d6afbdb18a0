"""The staff: made-up names, addresses at example.org."""

from __future__ import annotations

from random import Random

from demo.entities import User

FIRST = (
    "Anouk", "Bram", "Carmen", "Daan", "Elif", "Femke", "Gijs", "Hanna", "Iris", "Jasper", "Kaveh", "Lotte",
    "Milad",
    "Noor", "Olga", "Parisa", "Quinten", "Roos", "Sander", "Tess", "Umut", "Vera", "Wout", "Yara", "Zeynep",
    "Arash",
)  # fmt: skip
LAST = (
    "Bakker", "Celik", "Dekker", "Eskandari", "Fischer", "de Graaf", "Hendriks", "Ismaili", "Jansen",
    "Karimi",
    "van Leeuwen", "Moradi", "Nijhof", "Okafor", "Peters", "Rahimi", "Smit", "Tavakoli", "Visser", "Willems",
)  # fmt: skip


class People:
    """Everyone with an account; the machine accounts by name."""

    def __init__(self, seed: int, lines: tuple[str, ...], projects: int) -> None:
        self.everyone: dict[int, User] = {}
        self._rng = Random(f"{seed}/people")
        self._names: set[str] = set()
        self.ghost = self._add(User(100, "ghost", "Ghost User", "ghost@example.org"))
        self.renovate = self._add(
            User(101, "renovate-bot", "Renovate Bot", "renovate-bot@example.org", bot=True)
        )
        self.merge_bot = self._add(
            User(102, "merge-bot", "Merge Bot", "merge-bot@example.org")
        )  # only its name tells
        self.reader = self._add(User(103, "tem-reader", "TEM Reader", "tem-reader@example.org"))
        size = max(14, projects)
        self._of_line = {line: [self._person() for _ in range(size)] for line in lines}
        self._of_line[lines[0]][-1].state = "blocked"

    def _add(self, user: User) -> User:
        self.everyone[user.id] = user
        return user

    def _person(self) -> User:
        rng = self._rng
        while True:
            first, last = rng.choice(FIRST), rng.choice(LAST)
            username = f"{first}.{last.replace(' ', '')}".lower()
            if username in self._names:
                username += str(rng.randint(2, 99))
            if username not in self._names:
                break
        self._names.add(username)
        return self._add(
            User(1000 + len(self.everyone), username, f"{first} {last}", f"{username}@example.org",
                 signs=rng.random() < 0.5)
        )  # fmt: skip

    def team(self, line: str, rng: Random) -> list[User]:
        """Some of a business line's people."""
        return rng.sample(self._of_line[line], rng.randint(6, 9))

    def project_bot(self, project_id: int) -> User:
        """The account of a project access token."""
        name = f"project_{project_id}_bot_{self._rng.getrandbits(64):016x}"
        return self._add(User(500_000 + project_id, name, "deploy token", f"{name}@example.org", bot=True))
