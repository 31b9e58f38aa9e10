"""Controlled comparisons of image classifiers.

A room is a stage of the data's way, and imports go down this list only: cli, commands, reuse, runs,
comparison, record, training, settings, results and console.
"""
