"""The service that keeps classic mode's overlay networks whole: a program of its own."""
