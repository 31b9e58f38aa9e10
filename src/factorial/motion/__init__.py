"""Optimizers on surfaces of two dimensions, where their way can be seen."""
