"""From what was asked for to its result: trial, grid, plan, progress, run, sweep."""
