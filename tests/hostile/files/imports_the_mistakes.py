"""It reads the list of mistakes, which quote the reference.

verdict: failed at reads
says:
"""
import importlib


spec = importlib.import_module("grader.specs.p38_patch_embed")
print(spec.PROBLEM.pitfalls)
