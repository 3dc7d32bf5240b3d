"""How the records of a known or an unknown export are read: layouts, paths and recognition."""
