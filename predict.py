"""Read images with a recorded run's model: `python predict.py run=ID image.png`."""

import sys

from factorial import cli

if __name__ == "__main__":
    cli.command("predict", sys.argv[1:])
