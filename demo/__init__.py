"""A GitLab that fits in one process: a made-up company whose history can be asked for by REST and GraphQL."""
