"""The commands of ``python -m grader``: one file for each group, each with a ``register``."""
