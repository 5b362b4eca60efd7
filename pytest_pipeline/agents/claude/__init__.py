"""The agent `claude`: the Claude CLI, headless, and a rehearsal of it without a model."""
