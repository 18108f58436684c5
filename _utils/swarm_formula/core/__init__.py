"""Errors, files, waits, checks and values: what all others stand on. Knows no other room."""
