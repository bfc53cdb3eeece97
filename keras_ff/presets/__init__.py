"""Presets: how a network is stored in a folder, found and read."""
