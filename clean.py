"""Remove what no recorded run needs: `python clean.py [OUTPUTS] [--delete]`."""

import sys

from factorial.cleaning import main

if __name__ == "__main__":
    main(sys.argv[1:])
