"""KEEP: store, criterion, JUnit properties, terminal summary."""
