"""Experiments: trainings whose figures this project states, each to be run again."""
