"""What a benchmark of collection stands on: a demo GitLab, the product over it, and a way to tell figures."""
