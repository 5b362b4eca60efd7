"""What performance is measured with; see README.md."""
