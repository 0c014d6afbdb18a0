"""A GitLab that fits in one process: a made-up company whose history can be asked for by REST and GraphQL."""

VERSION, REVISION = "18.2.1-ee", "3b2d1c0f9aa"
