"""The lab: experiments that reproduce published tables, and benchmarks."""
