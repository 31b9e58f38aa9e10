"""Execute a recorded run again and compare: `python replay.py run=ID`."""

import sys

from factorial import cli

if __name__ == "__main__":
    cli.command("replay", sys.argv[1:])
