"""Check the README's numbers: `python claims.py [only=article] [write=true]`."""

import sys

from factorial import cli

if __name__ == "__main__":
    cli.command("claims", sys.argv[1:])
