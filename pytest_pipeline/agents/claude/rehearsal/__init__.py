"""A Messages API on the loopback interface whose model is a script, or a cassette that was recorded before."""
