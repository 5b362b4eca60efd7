"""Who writes the code. An agent knows nothing of git, forges or pytest."""
