"""Acceleration: the same steps and scores in less time."""
