"""`python -m factorial COMMAND ...`, the same as `factorial COMMAND ...`."""

from factorial.cli import main

if __name__ == "__main__":
    main()
