"""The engine: from a file to a verdict."""
