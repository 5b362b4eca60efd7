"""COLLECT: a Plan becomes pytest items; repetition, order, dependencies."""
