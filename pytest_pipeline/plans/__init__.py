"""READ: a Markdown file becomes a Plan. Knows no pytest, no git, no network."""
