"""``python -m grader``."""

import sys
from os.path import dirname, realpath

# Python puts the current folder first on the path.  It may hold the files of other people, and
# one called jax.py would run in the judge.
if not sys.flags.safe_path and realpath(sys.path[0]) != dirname(dirname(realpath(__file__))):
    del sys.path[0]

from grader.cli import main

main()
