"""Checks that initializers are torch's: distributions, moments, layouts, arguments and refusals."""
