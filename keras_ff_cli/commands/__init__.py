"""The options of each command, a file per command."""
