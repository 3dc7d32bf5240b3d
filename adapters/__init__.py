"""The adapters that ship: one folder each, named by its digest."""
