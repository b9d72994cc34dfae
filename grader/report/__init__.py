"""Renderers of a verdict, one a file."""
