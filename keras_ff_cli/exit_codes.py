"""What a command's end means to a shell."""

SUCCESS = 0
DIFFERENT = 1  # a preset is not what its card says
USER_ERROR = 2
INTERRUPTED = 130  # as a shell reports a process that Ctrl-C ended
CLOSED = 141  # as it reports one whose reader went away

HELP = (
    f"Exit codes: {SUCCESS} it went well; {DIFFERENT} `zoo evaluate` found a preset that is "
    f"not what its card says; {USER_ERROR} the command, its files or its data were wrong, as one "
    f"sentence on stderr says; {INTERRUPTED} interrupted; {CLOSED} whoever read the output went "
    "away."
)
