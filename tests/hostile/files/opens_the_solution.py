"""It reads the reference.

verdict: failed at reads
says: closed to an answer
"""
from grader.catalogue import ROOT

exec((ROOT / "solutions/38_patch_embed.py").read_text())
