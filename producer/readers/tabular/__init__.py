"""Delimited text as records: header, rows, and the habits of spreadsheet programs."""
