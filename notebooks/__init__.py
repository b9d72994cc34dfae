"""Notebooks for instructors, made from ``sources/`` by ``python -m notebooks.build``."""
