"""Where a repository lives on GitHub, read from whatever a user or a git remote calls it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from pytest_pipeline.errors import SettingsError

_GITHUB = "github.com"
_ALIASES = {"www.github.com": _GITHUB, "ssh.github.com": _GITHUB}
_LOOPBACK = ("127.0.0.1", "localhost")
_USUAL_PORT = {"https": "443", "http": "80"}
_SSH = ("ssh", "git+ssh", "ssh+git")

_URL = re.compile(
    r"(?P<scheme>[a-z][a-z0-9+.-]*)://(?:(?P<user>[^/\\]*)@)?(?P<host>[^/@:]+)(?::(?P<port>[0-9]+))?(?P<path>/[^?#]*)?",
    re.IGNORECASE,
)
_SCP = re.compile(r"(?:(?P<user>[^/\\]*)@)?(?P<host>[^/@:]+):/?(?P<path>[^:?#]+)")
_HOST = re.compile(r"[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?", re.ASCII)
_OWNER = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*", re.ASCII)
_NAME = re.compile(r"(?!\.{1,2}$)[A-Za-z0-9._-]{1,100}", re.ASCII)

_EXAMPLES = (
    "Write it as owner/name, https://github.com/owner/name, git@github.com:owner/name.git "
    "or, on GitHub Enterprise, https://github.example.com/owner/name."
)
_API_EXAMPLES = "Write it as https://github.example.com/api/v3, or leave it out for github.com."
_NOTICE = (
    "The address of the repository holds a credential, which is not used and not kept. Take it out of the address "
    "(for a remote: `git remote set-url`), revoke it if others may have seen it, and hand the token over in GH_TOKEN."
)


@dataclass(frozen=True)
class Address:
    """A repository on GitHub; holds no credential.

    Args:
        host: host name, with its port where that is not the usual one.
        owner: user or organisation.
        name: of the repository, without ``.git``.
        api_url: where REST begins, without a slash at the end.
        web_url: the repository's page.
        push_url: where git pushes to and fetches from.
        notice: a sentence for the user about a credential that the text held; empty when it held none.
    """

    host: str
    owner: str
    name: str
    api_url: str
    web_url: str
    push_url: str
    notice: str = field(default="", compare=False)

    @property
    def full_name(self) -> str:
        """``owner/name``."""
        return f"{self.owner}/{self.name}"

    @classmethod
    def parse(cls, text: str, *, api_url: str | None = None) -> Address:
        """Read an address.

        Args:
            text: ``owner/name``, ``host/owner/name``, an https or ssh URL, or what ``git remote get-url`` prints.
            api_url: where REST begins, when it cannot be told from the host. Only by it is plain http accepted, and
                only on the loopback interface.

        Raises:
            SettingsError: it names no repository on GitHub.
        """
        text = text.strip()
        named = _read(text)
        site = _site(named, api_url, text)
        owner, name = _owner_and_name(named.path, text)
        web_url = f"{site.origin}/{owner}/{name}"
        notice = _NOTICE if named.credential else ""
        return cls(site.host, owner, name, site.api_url, web_url, f"{web_url}.git", notice)


@dataclass(frozen=True)
class _Named:
    """What a text says; an empty host: it names none."""

    path: str
    host: str = ""
    scheme: str = "https"
    credential: bool = False


@dataclass(frozen=True)
class _Site:
    """One GitHub."""

    host: str
    api_url: str
    scheme: str = "https"

    @property
    def origin(self) -> str:
        return f"{self.scheme}://{self.host}"


def _read(text: str) -> _Named:
    url = _URL.fullmatch(text)
    if url is not None:
        return _read_url(url, text)
    scp = _SCP.fullmatch(text)
    if scp is not None:
        return _read_ssh(scp, text)
    if text.startswith("/"):
        raise _refusal(text, "it is a path on this machine")
    first, _, rest = text.partition("/")
    if "." in first and rest.strip("/").count("/") == 1:
        return _Named(rest, _host(first, None, "https", text))
    return _Named(text)


def _read_url(url: re.Match[str], text: str) -> _Named:
    scheme = url["scheme"].lower()
    if scheme in _SSH:
        return _read_ssh(url, text)
    if scheme not in _USUAL_PORT:
        raise _refusal(text, f"{scheme}:// leads to no GitHub")
    return _Named(url["path"] or "", _host(url["host"], url["port"], scheme, text), scheme, bool(url["user"]))


def _read_ssh(match: re.Match[str], text: str) -> _Named:
    """Of an ssh address the host and the path count: we talk https to it. Its port is the one of ssh."""
    host = _host(match["host"], None, "ssh", text)
    if "." not in host:
        raise _refusal(text, f"{host} has no dot, so it is an alias of your ssh configuration or a local path")
    return _Named(match["path"] or "", host, credential=":" in (match["user"] or ""))


def _host(host: str, port: str | None, scheme: str, text: str) -> str:
    lower = host.lower()
    if not _HOST.fullmatch(lower):
        raise _refusal(text, "the name of its host has letters that no host has")
    usual = port is None or port == _USUAL_PORT.get(scheme)
    return _ALIASES.get(lower, lower) if usual else f"{lower}:{port}"


def _owner_and_name(path: str, text: str) -> tuple[str, str]:
    owner, slash, name = path.strip("/").partition("/")
    name = name.removesuffix(".git")
    if not slash or "/" in name:
        raise _refusal(text, "it has not exactly an owner and a name")
    if not _OWNER.fullmatch(owner) or not _NAME.fullmatch(name):
        raise _refusal(text, "its owner or name has letters that GitHub does not allow")
    return owner, name


def _site(named: _Named, api_url: str | None, text: str) -> _Site:
    site = _site_of_api(api_url) if api_url is not None else _site_of_host(named.host or _GITHUB)
    if named.host and named.host != site.host:
        raise SettingsError(
            f"{_shown(text)} is on {named.host}, but the API URL is of {site.host}. Correct one of the two."
        )
    if named.host and named.scheme != site.scheme:
        raise _refusal(text, "plain http would send the token unencrypted")
    return site


def _site_of_host(host: str) -> _Site:
    if host == _GITHUB or host.endswith(".ghe.com"):
        return _Site(host, f"https://api.{host}")
    return _Site(host, f"https://{host}/api/v3")


def _site_of_api(api_url: str) -> _Site:
    url = _URL.fullmatch(api_url.strip())
    if url is None or url["user"] is not None:
        raise SettingsError(f"The API URL {_shown(api_url)} is no URL, or holds a user. {_API_EXAMPLES}")
    scheme = url["scheme"].lower()
    if scheme != "https" and not (scheme == "http" and url["host"].lower() in _LOOPBACK):
        raise SettingsError(f"The API URL {_shown(api_url)} does not begin with https://. {_API_EXAMPLES}")
    host = _host(url["host"], url["port"], scheme, api_url)
    path = (url["path"] or "").rstrip("/")
    web = host.removeprefix("api.")
    of_github = web == _GITHUB or web.endswith(".ghe.com")
    if of_github and host != web and not path:
        return _site_of_host(web)
    if of_github or not path:
        raise SettingsError(f"The API URL {_shown(api_url)} is not where an API begins. {_API_EXAMPLES}")
    return _Site(host, f"{scheme}://{host}{path}", scheme)


def _refusal(text: str, reason: str) -> SettingsError:
    return SettingsError(f"{_shown(text)} names no repository on GitHub: {reason}. {_EXAMPLES}")


def _shown(text: str) -> str:
    """The text as it may be printed: without what may be a credential."""
    text = re.sub(r"^([^/@]*://)?.*@(?<!^git@)(?<!://git@)", r"\1***@", text, flags=re.DOTALL)
    text = re.sub(r"[?#].*", "?***", text, flags=re.DOTALL)
    return repr(re.sub(r"(gh[a-z]_|github_pat_)\w+", "***", text)[:200])
