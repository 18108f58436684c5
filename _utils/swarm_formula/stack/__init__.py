"""Deploy, prune and remove the stacks of the pillar."""
