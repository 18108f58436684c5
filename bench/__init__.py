"""Measures the formula against the same set-up by Ansible, on the lab's hosts."""
