"""Fetch a data set and check it: `python fetch.py data=mnist`."""

import sys

from factorial import cli

if __name__ == "__main__":
    cli.command("fetch", sys.argv[1:])
