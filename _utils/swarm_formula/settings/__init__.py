"""The pillar: its schema, defaults and checks. Knows the options of all parts."""
