"""Words that begin a command. Nothing is looked up on the machine: a plan must mean the same everywhere."""

from __future__ import annotations


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# A command on its own, without arguments.
SUFFICIENT = _words(
    """
    pytest tox nox mypy pyright jest vitest mocha rspec phpunit ctest tsc eslint golangci-lint pre-commit rubocop ninja
    gradle mvn lint-imports pylint flake8 cypress playwright bats shellcheck buildozer meson
    """
)

# With at least one argument.
KNOWN = SUFFICIENT | _words(
    """
    python python2 python3 pip pip3 pipx pipenv poetry uv uvx pdm hatch conda mamba ruff isort bandit coverage
    sphinx-build mkdocs twine alembic django-admin celery gunicorn uvicorn hypercorn flask streamlit jupyter ipython
    pip-audit pip-compile vulture radon interrogate doctest maturin cython pyinstaller npm npx pnpm yarn bun bunx deno
    nodejs tsx ts-node vite webpack rollup esbuild prettier stylelint biome turbo nx lerna ng nuxt gatsby expo eas
    storybook nodemon babel swc husky commitlint c8 nyc prisma drizzle-kit knex sequelize typeorm gofmt goimports
    staticcheck govulncheck gotestsum dlv cargo rustc rustup rustfmt wasm-pack clippy-driver java javac jar kotlin
    kotlinc scala sbt lein clojure groovy ant mvnw gradlew gcc g++ clang clang++ clang-format clang-tidy cmake bazel
    bazelisk buck2 ld nm objdump readelf valgrind gdb lldb strace ruby gem bundle bundler rake rails jekyll php composer
    artisan phpstan psalm perl prove cpan lua luajit luacheck busted dotnet msbuild nuget swift swiftc xcodebuild xcrun
    pod fastlane flutter dart elixir mix iex erl rebar3 ghc cabal stack runghc ocaml dune opam nim zig crystal julia
    Rscript octave bash sh zsh fish dash ksh pwsh powershell source eval xargs env command grep egrep fgrep rg ag ack
    sed awk gawk jq yq xmllint xsltproc csvcut miller ls wc diff cmp comm tree stat du df realpath readlink basename
    dirname mktemp md5sum sha1sum sha256sum sha512sum shasum cksum b3sum xxd od hexdump base64 tar gzip gunzip zip unzip
    zcat bzip2 xz iconv tac nl uniq tr printf rev shuf seq mkdir rmdir rm cp mv ln chmod chown rsync scp ssh curl wget
    http nc netstat ss lsof dig nslookup ping ps pgrep pkill kubectl helm kustomize minikube kind k3d docker-compose
    podman buildah skopeo terraform tofu pulumi ansible ansible-playbook packer vagrant aws gcloud az gsutil bq flyctl
    heroku vercel netlify firebase wrangler gh glab svn hg psql mysql mysqladmin sqlite3 mongosh redis-cli pg_isready
    pg_dump createdb dropdb sqlfluff duckdb dbt hadolint yamllint markdownlint markdownlint-cli2 actionlint ajv tflint
    checkov trivy semgrep gitleaks codespell vale k6 locust hyperfine wrk hurl newman openapi-generator protoc buf
    grpcurl spectral redocly claude codex gemini ollama nix nix-build nix-shell guix brew apt apt-get dnf yum apk
    systemctl journalctl openssl gpg ssh-keygen ffmpeg ffprobe convert magick pandoc pdflatex latexmk dot exiftool
    """
)

# English words too: a flag, a path, a quotation or one of the sub-commands in _SUBCOMMANDS must follow.
_ENGLISH = _words(
    """
    test node black file find sort cat head tail touch which cut join split paste tee watch wait kill open top more less
    look date true false echo install service type read set export exit expand serve code strings size patch act air
    behave cd yes host time link column fold id users printenv m4 vi vim nano
    """
)
_SUBCOMMANDS = {
    "make": _words(
        """
        test tests check lint build all install clean verify ci docs format fmt typecheck unit integration e2e coverage
        smoke dist package validate html run compile
        """
    ),
    "just": _words("test check lint build ci all fmt format"),
    "task": _words("test lint build check"),
    "go": _words(
        """
        test build vet run fmt mod generate install list tool version get work env
        """
    ),
    "git": _words(
        """
        status diff log show ls-files ls-tree rev-parse rev-list branch tag grep blame add commit push pull merge rebase
        checkout switch restore reset stash fetch clone remote worktree describe cat-file fsck config cherry-pick revert
        clean rm mv shortlog submodule init
        """
    ),
    "docker": _words(
        """
        build run compose ps images exec inspect logs pull push version info network volume image container
        """
    ),
    "nest": _words("build start test"),
    "next": _words("build lint dev start export"),
    "fly": _words("deploy status logs launch"),
    "sleep": _words("infinity 1 2 3 5 10 30 60"),
}
AMBIGUOUS = dict.fromkeys(_ENGLISH, frozenset[str]()) | _SUBCOMMANDS

# A sentence goes on with one of these; a command does not.
PROSE_WORDS = _words(
    """
    is are was were be been being should must will would can cannot could may might shall has have had does do did
    passes succeeds returns shows exits works runs contains exists fails builds compiles prints outputs produces
    completes starts renders loads displays reports responds appears reads stays remains means needs requires uses the
    an and of that with without when while this these those their its it succeed successfully correctly cleanly properly
    """
)
