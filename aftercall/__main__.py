"""`python -m aftercall`: the same as the `aftercall` command."""

from aftercall.cli import main

if __name__ == "__main__":
    main()
