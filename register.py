"""Put the winner of a sweep into MLflow's model registry: `python register.py sweep=ID`."""

import sys

from factorial import cli

if __name__ == "__main__":
    cli.command("registry", sys.argv[1:])
