"""Experiments: trainings whose results this project states, each to be run again."""
