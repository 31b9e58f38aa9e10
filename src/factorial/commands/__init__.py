"""A module for each command, named as it is typed: `factorial compare` is `compare.main`."""
