"""DO: one task run, step by step."""
