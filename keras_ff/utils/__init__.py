"""Small tools that know nothing of Forward-Forward."""
