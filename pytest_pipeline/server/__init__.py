"""The HTTP face: starts pytest sessions in processes of their own, and tells of them what the store holds."""
