"""The loopback GitHub is held to what the facts say of GitHub."""
