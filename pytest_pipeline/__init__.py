"""pytest-pipeline: prove that an autonomous coding pipeline can be trusted."""

__version__ = "0.1.0"
