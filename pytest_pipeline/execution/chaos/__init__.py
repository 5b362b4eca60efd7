"""Chaos: real faults at the seams of a session, so that surviving them is seen and not believed. Only with --chaos."""
