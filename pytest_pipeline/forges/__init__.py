"""Where pull requests live. A forge knows nothing of agents or pytest."""
