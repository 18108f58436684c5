"""Runs the command line with `python3 -m bench`."""

import sys

from bench.cli import main

sys.exit(main())
