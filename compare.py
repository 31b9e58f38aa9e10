"""Compare recorded runs: `python compare.py [sweep=ID | experiment=NAME | FILTER]`."""

import sys

from factorial import cli

if __name__ == "__main__":
    cli.command("report", sys.argv[1:])
