"""`connect` and `disconnect` give every file of another program back to the byte, whatever its shape, or
refuse it unchanged."""

from __future__ import annotations

import json
import stat
import tomllib
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from holdfast.core.errors import HoldfastError
from holdfast.core.identity import Dialect
from holdfast.harness import HARNESSES, attach, jsonc
from holdfast.harness.base import Attachment, ConnectOffer

ROOT = "http://127.0.0.1:4555"
OFFER = ConnectOffer(
    root=ROOT,
    token_file="/t",
    token_command=("show", "/t"),
    models=(("p/m1", Dialect.OPENAI_CHAT), ("p/ü/名前", Dialect.ANTHROPIC_MESSAGES)),
)
# A file as people write it, and the same on one line.
WRITTEN = {
    "pi": (
        (
            '{\n\t// mïne\n\t"providers": {\n'
            '\t\t"a": {"baseUrl": "http://a.example//v1", "k": "\\"//"} // last\n\t}\n}\n'
        ),
        '{"providers":{"o":{"baseUrl":"http://o.example/v1","models":[{"id":"q"}]}}}',
    ),
    "claude": (
        (
            '{\n    // mïne\n    "env": {\n'
            '        "FOO": "http://x//y /* no */", // foo\n    },\n    "hooks": {},\n}\n'
        ),
        '{"env":{"A":"b"},"model":"opus"}',
    ),
    "opencode": (
        (
            '{\n  "theme": "x",\n  /* mïne\n     too */\n  "provider": {\n'
            '    "w": {"options": {},},\n  },\n  "mcp": {}\n}\n'
        ),
        '{"provider":{"w":{"options":{"baseURL":"https://w.example/v1"}}}}',
    ),
    "codex": (
        '# mïne\napproval_policy = "never"\n\n[features]\n  x = true # x\n',
        'approval_policy = "never"',
    ),
}
OURS: dict[str, tuple[str, ...]] = {
    "pi": ("providers", "holdfast"),
    "claude": ("env", "ANTHROPIC_BASE_URL"),
    "opencode": ("provider", "holdfast"),
    "codex": ("model_provider",),
}
SHAPES: dict[str, Callable[[str, str], str]] = {
    "as written": lambda text, line: text,
    "byte order mark": lambda text, line: "\ufeff" + text,
    "carriage returns": lambda text, line: text.replace("\n", "\r\n"),
    "mixed line ends": lambda text, line: text.replace("\n", "\r\n", 3),
    "no final newline": lambda text, line: text.rstrip(),
    "indented": lambda text, line: "".join(f"      {row}" for row in text.splitlines(keepends=True)),
    "spaces at line ends": lambda text, line: text.replace("\n", "   \n"),
    "blank lines around": lambda text, line: f"\n\n{text}\n\n",
    "one line": lambda text, line: line,
    "one line with newline": lambda text, line: line + "\n",
    "empty": lambda text, line: "",
    "blank": lambda text, line: "\n\n",
}
JSON_SHAPES: dict[str, Callable[[str, str], str]] = {
    "comment after": lambda text, line: text + "// the end\n/* really */\n",
    "comment on the last line": lambda text, line: line + " // end",
    "pretty": lambda text, line: json.dumps(json.loads(line), indent=4),
    "tabs": lambda text, line: json.dumps(json.loads(line), indent="\t") + "\n",
    "only a comment": lambda text, line: "// nothing yet\n",
    "empty object": lambda text, line: "{}",
    "empty object on two lines": lambda text, line: "{\n}\n",
    "comment in an empty object": lambda text, line: "{\n  // todo\n}\n",
    "big": lambda text, line: line[:-1] + ', "big": "' + "x" * 100_000 + '"}',
    "lone surrogate": lambda text, line: line[:-1] + ', "s": "\\ud83d"}',
    "escapes": lambda text, line: line[:-1] + ', "s": "\\ud83e\\udd86 \\u00fc 🦆"}',
    "comments around commas": lambda text, line: line[:-1] + ' /* a */ , "b" /* b */ : 1 /* c */ , }',
    "comma at the end": lambda text, line: line[:-1] + ",}",
}
REFUSED: dict[str, Callable[[str, str], bytes]] = {
    "text": lambda text, line: b'"x"',
    "list": lambda text, line: b"[1, 2]",
    "something behind": lambda text, line: line.encode() + b" }",
    "UTF-16": lambda text, line: text.encode("utf-16"),
    "latin-1": lambda text, line: text.replace("ï", "é").encode("latin-1"),
    "names used twice": lambda text, line: b'{"a": 1, "a": 2}',
    "broken": lambda text, line: b"{",
}
Edit = Callable[[str, str], str]
"""From the text and the program's name to the text that somebody made of it."""


def shapes(name: str) -> dict[str, Callable[[str, str], str]]:
    if name == "codex":
        return SHAPES
    return SHAPES | JSON_SHAPES


def parsed(name: str, text: str) -> dict[str, Any]:
    if name == "codex":
        return tomllib.loads(text.removeprefix("\ufeff"))
    return dict(jsonc.parse(text))


def without(value: dict[str, Any], paths: list[tuple[str, ...]]) -> dict[str, Any]:
    """A document without these paths and the objects that this leaves empty."""
    for path in paths:
        holder = value
        for name in path[:-1]:
            holder = holder[name]
        del holder[path[-1]]
    return {name: inner for name, inner in value.items() if inner != {}}


def attachment(name: str) -> Attachment:
    make = HARNESSES[name].attach
    assert make is not None
    return make(OFFER)


def paths_of_ours(name: str) -> list[tuple[str, ...]]:
    if name == "codex":
        return [("model_provider",), ("model",), ("model_providers", "holdfast")]
    return [path for path, _ in attachment(name).members]


def connect(name: str, path: Path) -> attach.Receipt:
    receipt = attach.connect(name, attachment(name), path, root=ROOT, token=__file__, keep=lambda *_: None)
    return attach.receipt_of(json.dumps(asdict(receipt)))


@pytest.mark.parametrize("name", WRITTEN)
def test_a_file_of_any_shape_has_ours_between_and_its_own_bytes_again_after(
    name: str, tmp_path: Path
) -> None:
    path, wrong = tmp_path / "file", []
    for shape, change in shapes(name).items():
        before = change(*WRITTEN[name])
        path.write_bytes(before.encode())
        path.chmod(0o640)
        receipt = connect(name, path)
        between = parsed(name, path.read_bytes().decode())
        drift = attach.drift(receipt, [ROOT])
        if (drift, without(between, paths_of_ours(name))) != ("", without(parsed(name, before), [])):
            wrong.append((shape, drift, between))
        kept = attach.disconnect(receipt)
        if (kept, path.read_bytes(), stat.S_IMODE(path.stat().st_mode)) != ([], before.encode(), 0o640):
            wrong.append((shape, kept, path.read_bytes()))
    assert wrong == []


@pytest.mark.parametrize("name", WRITTEN)
def test_a_file_that_its_program_could_not_read_either_is_refused_as_it_is(name: str, tmp_path: Path) -> None:
    path = tmp_path / "file"
    for change in REFUSED.values():
        before = change(*WRITTEN[name])
        path.write_bytes(before)
        with pytest.raises(HoldfastError, match=r"nothing was changed|cannot read"):
            connect(name, path)
        assert path.read_bytes() == before


@pytest.mark.parametrize("name", WRITTEN)
def test_a_link_and_its_mode_stay_as_they_are(name: str, tmp_path: Path) -> None:
    real, path = tmp_path / "dotfiles" / "real", tmp_path / "file"
    real.parent.mkdir()
    for target in (Path("dotfiles") / "real", real):
        for mode in (0o444, 0o600, 0o664):
            real.write_bytes(WRITTEN[name][0].encode())
            real.chmod(mode)
            path.unlink(missing_ok=True)
            path.symlink_to(target)
            attach.disconnect(connect(name, path))
            assert (path.readlink(), stat.S_IMODE(real.stat().st_mode)) == (target, mode)
            assert real.read_bytes() == WRITTEN[name][0].encode()


@pytest.mark.parametrize("name", WRITTEN)
def test_a_dangling_link_dangles_again(name: str, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.symlink_to("real")
    attach.disconnect(connect(name, path))
    assert [(item.name, item.is_symlink()) for item in tmp_path.iterdir()] == [("file", True)]


def rewritten(text: str, name: str) -> str:
    return json.dumps(parsed(name, text), indent=3)


def extended(text: str, name: str) -> str:
    return json.dumps(parsed(name, text) | {"new": {"a": 1}}, indent=2)


def with_ours_changed(text: str, name: str) -> str:
    return text.replace(":4555", ":9999", 1)


def without_ours(text: str, name: str) -> str:
    return json.dumps(without(parsed(name, text), [OURS[name]]))


def appended(text: str, name: str) -> str:
    return text.rstrip() + "\n// by hand\n"


EDITS: dict[Edit, bool] = {rewritten: False, extended: False, appended: False, without_ours: False}
EDITS[with_ours_changed] = True


@pytest.mark.parametrize("name", [name for name in WRITTEN if name != "codex"])
def test_what_was_edited_between_stays_without_ours(name: str, tmp_path: Path) -> None:
    path, before = tmp_path / "file", WRITTEN[name][0]
    for edit, keeps in EDITS.items():
        path.write_bytes(before.encode())
        receipt = connect(name, path)
        edited = edit(path.read_bytes().decode(), name)
        path.write_bytes(edited.encode())
        kept = attach.disconnect(receipt)
        left = without(parsed(name, path.read_bytes().decode()), [OURS[name]] if keeps else [])
        added = left.pop("new", {})
        assert (bool(kept), bool(added)) == (keeps, edit is extended), edit.__name__
        assert left == without(parsed(name, before), []), edit.__name__
        assert ("// by hand" in path.read_text()) is (edit is appended)


@pytest.mark.parametrize("name", WRITTEN)
def test_a_file_that_is_gone_or_broken_between_is_left_alone(name: str, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(WRITTEN[name][0].encode())
    receipt = connect(name, path)
    broken = path.read_bytes() + b"}}"
    path.write_bytes(broken)
    with pytest.raises(HoldfastError, match="nothing was changed"):
        attach.disconnect(receipt)
    assert path.read_bytes() == broken
    path.unlink()
    assert attach.disconnect(receipt) == []
    assert not path.exists()
