"""The machine: the one way to run a child process and the one way to run git."""
