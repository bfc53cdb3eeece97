"""What the errors of other libraries say."""


def reason(error):
    """The first sentence of an error, without the arguments that TFDS puts before it."""
    line = str(error).strip().split("\n")[0].rpartition('}": ')[-1]
    return line.split(". ")[0].rstrip(".:") or type(error).__name__
