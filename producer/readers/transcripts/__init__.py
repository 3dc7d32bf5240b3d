"""A whole conversation in one cell: its labels, its line breaks and its preamble."""
