"""Recipes that were tried, one a file."""
