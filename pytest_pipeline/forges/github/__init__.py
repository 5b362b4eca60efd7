"""Pull requests on GitHub, or on a GitHub Enterprise server; the only place that knows PyGithub."""
