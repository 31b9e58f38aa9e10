"""Controlled comparisons of image classifiers.

Imports point one way: config, environment, data, models, trainer, record, run, sweep, cli.
"""
