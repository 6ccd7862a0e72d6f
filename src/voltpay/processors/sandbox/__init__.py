"""A processor that is not real: the challenge's protocol, its own journal, faults on demand."""
