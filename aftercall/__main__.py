"""`python -m aftercall`: the same as the `aftercall` command."""

import os
import sys

# Python puts the current folder first on the path: a click.py next to the export would be imported in place of ours.
# It stays only if aftercall itself is imported from it, as in a checkout.
if not sys.flags.safe_path and __file__ != f"{sys.path[0]}{os.sep}aftercall{os.sep}__main__.py":
    del sys.path[0]

from aftercall.cli import main

if __name__ == "__main__":
    main()
