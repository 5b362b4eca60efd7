"""Commands that are reported and not run: they never end, change what is outside, or are not yet commands."""

from __future__ import annotations

import re

from pytest_pipeline.plans.commands import MUTATES_GIT, bare_statement, join_lines, mask_quotes, split_statements

_RUNNER = re.compile(
    r"(?:npx(?:\s+(?:-y|--yes|--no-install))?|pnpm\s+(?:exec|dlx)|yarn\s+(?:exec|dlx)|bunx|uvx|(?:uv|poetry|pipenv|pdm|hatch|rye)\s+run"
    r"|bundle\s+exec|(?:\S*/)?python[\d.]*\s+-m)\s+"
)
PLACEHOLDER = re.compile(
    r"\[[A-Z]{2,}[A-Z0-9_ -]*\]|<[A-Za-z][\w-]*(?:[ .][\w-]+)*>|\{\{[^{}]*\}\}"
    r"|(?<![$\w}])\{[A-Za-z_][\w-]*\}|\bYOUR_[A-Z_]+\b"
    r"|(?<=/)\{[A-Za-z_][\w-]*\}"
)
_HARMLESS = re.compile(r"(?:^|\s)(?:--help|--version|-h|-V)(?:\s|$)")
_NEVER_ENDS = re.compile(
    r"""(?:
      (?:npm|pnpm|yarn|bun|deno\ task)(?:\s+run)?(?:\s+--?\S+)*\s+(?:dev|start|serve|watch|preview|develop)(?:[:\s]|$)
    | (?:npm|pnpm|yarn|bun)\s+(?:run\s+)?\S+:watch\b
    | (?:next|nuxt|astro|remix|wrangler|vercel|netlify|nest)\s+(?:dev|start)\b
    | vite(?:\s+(?:dev|serve|preview))?(?:\s+--(?!help|version)\S+)*$
    | (?:ng|webpack|jekyll|mkdocs|vue-cli-service|php\s+artisan|bundle\s+exec\s+jekyll)\s+serve\b | hugo\s+server\b
    | (?:webpack-dev-server|nodemon|ts-node-dev|live-server|http-server|serve|start-storybook|air)(?:\s|$)
    | storybook\s+dev\b
    | (?:expo|react-native|gatsby)\s+(?:start|develop)\b
    | (?:uvicorn|gunicorn|hypercorn|daphne|waitress-serve|tensorboard|mongod|redis-server|memcached|caddy|nginx
        |ngrok)(?:\s|$)
    | http\.server\b | (?:flask|streamlit|fastapi|litestar)\s+(?:run|dev)\b | \S*\s?\S*manage\.py\s+runserver\b
    | jupyter(?:-|\s+)(?:lab|notebook)\b | celery\b.*\s(?:worker|beat)\b | rails\s+(?:s|server|c|console)\b | puma\b
    | php\s+-S\b | cargo\s+watch\b
    | (?:docker|docker-compose|podman)(?:\s+compose)?(?:\s+-\S+(?:\s+\S+\.ya?ml)?)*\s+up\b
        (?!.*\s(?:-d|--detach|--wait|--abort-on-container-exit|--exit-code-from)\b)
    | (?:docker|kubectl|docker-compose)\s.*\blogs\b.*\s(?:-f|--follow)\b | kubectl\s+(?:port-forward|proxy)\b
    | curl\s(?:.*\s)?(?:-[a-zA-Z]*N[a-zA-Z]*|--no-buffer)(?:\s|$) | tail\s(?:.*\s)?(?:-[a-zA-Z]*[fF]\b|--follow)
    | (?:watch\s+-|watch\s+\S+\s|htop|top$|less\s|more\s|vim?\s|nano\s|emacs\s) | journalctl\s.*(?:-f|--follow)\b
    | ping\s(?!.*-c) | sleep\s+infinity | yes(?:\s|$) | gh\s+run\s+watch
    | .*\s(?:--watch(?:-all|All)?(?:=true)?|--reload)(?:\s|$)
    )""",
    re.X,
)
_OUTSIDE = re.compile(
    r"""(?:
      kubectl\s+(?:apply|delete|create|patch|scale|set|rollout\s+(?:restart|undo)|edit|replace)\b
    | helm\s+(?:install|upgrade|uninstall|rollback)\b | (?:terraform|tofu)\s+(?:apply|destroy|import)\b
    | pulumi\s+(?:up|destroy)\b
    | (?:npm|yarn|pnpm|cargo|poetry|uv|gem|flit|hatch)\s+publish\b(?!.*--dry-run) | twine\s+upload\b | gem\s+push\b
    | (?:docker|podman)\s+(?:push|login)\b
    | (?:gh|glab)\s+(?:pr|mr|release|issue|repo|workflow|secret)\s+
        (?:create|merge|close|edit|delete|run|comment|review|set)\b
    | (?:fly|flyctl|vercel|netlify|firebase|wrangler|serverless|sls|cdk|sam|eas|gcloud\s.*|aws\s.*|az\s.*)\s+
        (?:deploy|submit)\b
    | vercel\s.*--prod
    | aws\s+s3\s+(?:cp|sync|rm|mv)\b | git\s+push\b | heroku\b | ansible-playbook\b(?!.*--(?:check|syntax-check))
    | systemctl\s+(?:start|stop|restart|enable|disable|reload)\b | service\s+\S+\s+(?:start|stop|restart)\b | ssh\s
    | scp\s
    | (?:npm|pnpm|yarn|bun|make|just|task|rake)\s+(?:run\s+)?(?:deploy|release|publish)\S*
    | (?:(?:ba|z)?sh\s+)?(?:\S*/)?deploy[\w-]*(?:\.(?:sh|py|js))?(?:\s|$) | (?:(?:ba|z)?sh\s+)?\S*[-_]deploy\.sh\b
    | rm\s+-[a-zA-Z]+\s+(?:/|~)(?!tmp\b|tmp/)
    )""",
    re.X,
)


def reason_to_refuse(script: str) -> str:
    """Why a command is reported and not run; "" when it can be run."""
    masked = mask_quotes(join_lines(script))
    masked = "\n".join(line for line in masked.split("\n") if not line.lstrip().startswith("#"))
    if match := PLACEHOLDER.search(masked):
        return f"it has the placeholder {match[0]}; write what is meant, or quote it if it is data"
    for statement, separator in split_statements(masked):
        bare, limited = bare_statement(statement)
        if reason := _danger(bare, ends=limited or separator == "&"):
            return reason
    return ""


def _danger(statement: str, *, ends: bool) -> str:
    if MUTATES_GIT.match(statement):
        return "it changes the git repository, which is the pipeline's work; leave it out of the verification"
    if _OUTSIDE.match(statement):
        return "it changes something outside the workspace; verify without it"
    inner = _RUNNER.sub("", statement, count=1) if _RUNNER.match(statement) else statement
    if not ends and not _HARMLESS.search(statement) and (_NEVER_ENDS.match(statement) or _NEVER_ENDS.match(inner)):
        return "it does not end by itself; verify with a command that ends, or put 'timeout' before it"
    return ""
