"""What both modes do, each in its own way: the verbs of a mode, by its name."""
