"""READ: a Markdown file becomes a Plan. Knows no pytest, no git, no network."""

from pytest_pipeline.plans.reader import looks_like_plan, parse_plan, read_plan

__all__ = ["looks_like_plan", "parse_plan", "read_plan"]
