"""A session as a page: for a browser that watches it, and as one file that needs no server."""
