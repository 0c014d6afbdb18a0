"""The root of every error that TEM anticipates."""


class TemError(Exception):
    """Something that was expected to go wrong: its message says what to do and holds no secret."""
