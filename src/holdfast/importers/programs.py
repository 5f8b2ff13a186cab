"""The programs whose files can be imported: the one list of them.

Each has a module here with `read(path, environ)`. `recognise` looks at where a file is and at `marks` to tell
one program's file from another's."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from keyword import iskeyword
from typing import TYPE_CHECKING, Any

from .read_files import mapping, word

if TYPE_CHECKING:
    from pathlib import Path

    from .entries import ImportResult

Table = Mapping[str, Any]


def _never(_: Table) -> bool:
    return False


@dataclass(frozen=True, slots=True)
class Program:
    """A program: its name in `holdfast import`, what people call it, the names of its files in their
    directory, a test each for tables, and for the rows of lists, that only its files have, and the name of
    its directory if that is not its own."""

    name: str
    title: str
    files: tuple[str, ...]
    marks: Callable[[Table], bool]
    of_rows: Callable[[Table], bool] = _never
    home: str = ""

    @property
    def module(self) -> str:
        """Return the name of the module that reads its files."""
        name = self.name.replace("-", "_")
        if iskeyword(name):
            name += "_"
        return name

    def has_at(self, file: Path) -> bool:
        """Return whether a file is where, or is called as, only this program's files are."""
        if file.name not in self.files:
            return False
        return self.name in file.name or file.parent.name.lstrip(".") in (self.name, self.home)

    def read(self, path: Path | None) -> ImportResult:
        """Return the result of an import. Raises ConfigError when a file cannot be read."""
        read: Callable[[Path | None], ImportResult] = import_module(f"{__package__}.{self.module}").read
        return read(path)


def _has(*members: str) -> Callable[[Table], bool]:
    """Return a test for tables with one of these members."""
    return lambda table: any(member in table for member in members)


def _rows_have(member: str, *inner: str) -> Callable[[Table], bool]:
    """Return a test for tables in which the rows of a member (a list, or a table of tables) have these
    members."""

    def test(table: Table) -> bool:
        rows = table.get(member)
        if isinstance(rows, Mapping):
            rows = list(rows.values())
        if not isinstance(rows, list):
            return False
        return any(name in mapping(row) for row in rows for name in inner)

    return test


def _schema(table: Table, part: str) -> bool:
    return part in word(table.get("$schema"))


_CLAUDE = frozenset("apiKeyHelper enabledPlugins statusLine includeCoAuthoredBy cleanupPeriodDays".split())


def _is_claude(table: Table) -> bool:
    names = mapping(table.get("env"))
    if any(name.startswith(("ANTHROPIC_", "CLAUDE_CODE_")) for name in names):
        return True
    return _schema(table, "claude-code-settings") or not _CLAUDE.isdisjoint(table)


def _is_cc_switch(table: Table) -> bool:
    apps = (table, *(mapping(table.get(app)) for app in ("claude", "codex", "gemini")))
    return any("current" in app and "providers" in app for app in apps)


def _is_hermes(table: Table) -> bool:
    if _has("custom_providers", "fallback_providers", "_config_version")(table):
        return True
    return bool({"default", "provider", "base_url", "api_mode", "key_env"} & {*mapping(table.get("model"))})


def _is_openclaw(table: Table) -> bool:
    if _rows_have("providers", "baseUrl")({"providers": mapping(table.get("models")).get("providers")}):
        return True
    return "agents" in table and ("gateway" in table or "defaults" in mapping(table.get("agents")))


def _is_gemini(table: Table) -> bool:
    kind = word(mapping(mapping(table.get("security")).get("auth")).get("selectedType"))
    kind = kind or word(table.get("selectedAuthType"))
    return kind in ("gemini-api-key", "oauth-personal", "vertex-ai", "cloud-shell", "gateway")


def _is_qwen(table: Table) -> bool:
    kind = word(mapping(mapping(table.get("security")).get("auth")).get("selectedType"))
    kind = kind or word(table.get("selectedAuthType"))
    return "modelProviders" in table or kind in ("openai", "anthropic", "qwen-oauth")


def _is_continue(table: Table) -> bool:
    if _rows_have("models", "uses")(table) or _has("tabAutocompleteModel", "embeddingsProvider")(table):
        return True
    return _rows_have("models", "provider")(table) and isinstance(table.get("models"), list)


_AIDER = frozenset(
    """
    openai-api-key openai-api-base anthropic-api-key weak-model editor-model edit-format auto-commits
    map-tokens set-env api-key
    """.split()
)


def _is_aider(table: Table) -> bool:
    return not _AIDER.isdisjoint(table)


def _is_crush(table: Table) -> bool:
    if _schema(table, "charm.land/crush") or _has("lsp")(table):
        return True
    sizes = mapping(table.get("models"))
    return bool({"large", "small"} & {*sizes}) or _rows_have("providers", "base_url", "api_key")(table)


def _is_goose(table: Table) -> bool:
    if any(name.startswith("GOOSE_") for name in table):
        return True
    if "engine" in table and _has("api_key_env", "base_url")(table):
        return True
    return "active_provider" in table or _rows_have("extensions", "bundled", "cmd")(table)


def _is_zed(table: Table) -> bool:
    return _has("language_models", "agent_servers", "assistant")(table) or "default_model" in mapping(
        table.get("agent")
    )


def _is_opencode(table: Table) -> bool:
    return _schema(table, "opencode.ai") or _rows_have("provider", "npm", "options")(table)


PROGRAMS: Mapping[str, Program] = {
    program.name: program
    for program in (
        Program("hermes", "Hermes", ("config.yaml",), _is_hermes),
        Program("litellm", "LiteLLM", ("config.yaml",), _has("model_list", "litellm_settings")),
        Program("opencode", "opencode", ("opencode.jsonc", "opencode.json"), _is_opencode),
        Program("pi", "Pi", ("models.json",), _rows_have("providers", "baseUrl")),
        Program("codex", "Codex", ("config.toml",), _has("model_providers", "model_provider")),
        Program("claude", "Claude Code", ("settings.json",), _is_claude),
        Program(
            "claude-code-router",
            "claude-code-router",
            ("config.json", "config.sqlite"),
            _has("Providers", "Router"),
        ),
        Program("cc-switch", "CC Switch", ("cc-switch.db", "config.json"), _is_cc_switch),
        Program("gemini", "Gemini CLI", ("settings.json",), _is_gemini),
        Program("qwen", "Qwen Code", ("settings.json",), _is_qwen),
        Program("continue", "Continue", ("config.yaml", "config.json"), _is_continue),
        Program(
            "aider",
            "aider",
            (".aider.conf.yml", ".aider.model.settings.yml"),
            _is_aider,
            of_rows=_has("extra_params", "edit_format"),
        ),
        Program("crush", "Crush", ("crush.json",), _is_crush),
        Program("goose", "Goose", ("config.yaml",), _is_goose),
        Program(
            "llm",
            "LLM",
            ("extra-openai-models.yaml", "keys.json"),
            _has("// Note"),
            of_rows=_has("model_id"),
            home="io.datasette.llm",
        ),
        Program("zed", "Zed", ("settings.json",), _is_zed),
        Program("openclaw", "OpenClaw", ("openclaw.json",), _is_openclaw),
        Program("env", "environment variables", (".env",), _never),
    )
}
"""All programs, by their names in `holdfast import`."""
DATABASES: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "cc-switch": ("providers", ("app_type", "settings_config")),
    "claude-code-router": ("app_config", ("value_json",)),
}
"""The table, with its columns, by which the database of a program is known."""
