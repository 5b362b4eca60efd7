"""The page that tells of the interface, made from its OpenAPI document. No script, nothing from elsewhere."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from jinja2 import Environment

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{ title }} {{ version }}</title>
<style>
:root { color-scheme: light dark; }
body { font: 1rem/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
code { font-family: ui-monospace, monospace; overflow-wrap: anywhere; }
section { border-top: 1px solid; margin-top: 1.5rem; }
td, th { text-align: left; vertical-align: top; padding: 0 1rem .25rem 0; }
</style>
</head>
<body>
<p><a href="/">Sessions</a></p>
<h1>{{ title }} {{ version }}</h1>
<p>{{ description }} The whole description for programs: <a href="/openapi.json"><code>/openapi.json</code></a>.</p>
{% for each in operations %}
<section>
<h2><code>{{ each.method }} {{ each.path }}</code></h2>
<p>{{ each.description }}</p>
{% if each.fields %}
<table>
<tr><th>field</th><th>form</th><th>meaning</th></tr>
{% for name, form, meaning in each.fields %}
<tr><td><code>{{ name }}</code></td><td>{{ form }}</td><td>{{ meaning }}</td></tr>
{% endfor %}
</table>
{% endif %}
<p>Answers: {% for code, meaning in each.answers %}<code>{{ code }}</code> {{ meaning }} {% endfor %}</p>
</section>
{% endfor %}
</body>
</html>
"""


def page(document: Mapping[str, Any]) -> str:
    """The page.

    Args:
        document: the OpenAPI document.
    """
    info = document["info"]
    template = Environment(autoescape=True).from_string(_PAGE)
    return template.render(
        title=info["title"],
        version=info["version"],
        description=info["description"],
        operations=list(_operations(document)),
    )


def _operations(document: Mapping[str, Any]) -> Iterator[Mapping[str, object]]:
    schemas = document["components"]["schemas"]
    for path, methods in document["paths"].items():
        for method, told in methods.items():
            yield {
                "method": method.upper(),
                "path": path,
                "description": told.get("description", ""),
                "fields": [*_parameters(told), *_body(told, schemas)],
                "answers": [(code, each["description"]) for code, each in sorted(told["responses"].items())],
            }


def _parameters(told: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    for each in told.get("parameters", ()):
        yield each["name"], f"{each['in']}, {_form(each['schema'])}", each.get("description", "")


def _body(told: Mapping[str, Any], schemas: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    for content in told.get("requestBody", {}).get("content", {}).values():
        shape = schemas[content["schema"]["$ref"].rpartition("/")[2]]
        for name, each in shape["properties"].items():
            yield name, f"body, {_form(each)}", each.get("description", "")


def _form(schema: Mapping[str, Any]) -> str:
    """Type and default in words."""
    choices = [each.get("type", "") for each in schema.get("anyOf", [schema])]
    form = " or ".join(each for each in choices if each and each != "null") or "value"
    return f"{form}, default {schema['default']}" if schema.get("default") is not None else form
