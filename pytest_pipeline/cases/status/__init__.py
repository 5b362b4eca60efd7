"""The live status: what goes on at this moment, in the last lines of a terminal while a session runs."""
