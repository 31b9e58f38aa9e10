"""Train one image classifier, or a sweep of them with -m: `python train.py --help` says how."""

import sys

from factorial import cli

if __name__ == "__main__":
    cli.run("train", sys.argv[1:])
