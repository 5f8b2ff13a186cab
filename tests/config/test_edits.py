"""Edits of holdfast.toml in every layout that TOML has: each does exactly its change, and every comment and
every other line of the user stays to the byte."""

from __future__ import annotations

import functools
import re
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fixtures.plain_config import plain
from holdfast import config as config_file
from holdfast.config import Home
from holdfast.config.provisioned_entry import enter
from holdfast.core.errors import ConfigError
from holdfast.core.identity import Pin

from .toml_oracle import check_spans

BOM = b"\xef\xbb\xbf"

# One meaning in many layouts. A comment that says "of a" may go with the provider a, one that says "of B"
# with its second key; the others have to survive every edit.
SAME = '{ then = ["b/m"], return_after = "10m" }'
LAYOUTS = {
    "headers": f"""\
# top
[provider.a]   # of a
# of a: the address
url = "https://a.example/v1"   # beside the url of a
models = ["m"]   # of a
keys = ["env:A", "env:B"]   # of a

# ---- team ----

# about b
[provider.b]   # beside b
url = "https://b.example/v1"   # beside its url
models = ["m"]
# last of b

[fallback]   # beside the fallbacks
# about the row
"a/m" = {SAME}   # of the row
# end
""",
    "long lists": f"""\
[provider.a]
url = "https://a.example/v1"
models = [   # of a
  # of a: above
  "m",   # of a: beside
]
keys = [
  # of a: above
  "env:A",   # of a: beside
  "env:B"   # of a, of B: the last has no comma
  # of a: end
]
# after a
[provider.b]
url = "https://b.example/v1"
models = [ "m", ]
[fallback]
"a/m" = {SAME}
""",
    "lists of tables": """\
  [provider.a]
  url = 'https://a.example/v1'
  models = ['m']

  # of a: the first key
  [[provider.a.keys]]   # of a
  from = "env:A"
  # of a: the second key

  [[provider.a.keys]]   # of a, of B
  from = "env:B"   # of a, of B
  # after the keys

# about b
[provider.b]
url = "https://b.example/v1"
models = ["m"]
# about the row

[fallback.'a/m']   # of the row
then = ['b/m']   # of the row
return_after = "10m"
""",
    "dotted keys": """\
# top
provider.a.url = "https://a.example/v1"   # of a
provider.a.models = ["m"]
provider . "a" . keys = ["env:A", { from = "env:B" }]   # of a
# about b
provider.b.url = "https://b.example/v1"   # beside b
provider.b.models = ["m"]
# about the row
fallback."a/m".then = ["b/m"]   # of the row
fallback."a/m".return_after = "10m"   # of the row
""",
    "dotted keys below a header": f"""\
[provider]   # beside the providers
a.url = "https://a.example/v1"   # of a
a.models = ["m"]
a.keys = ["env:A", "env:B"]
# about b
b.url = "https://b.example/v1"
b.models = ["m"]

# about the row
[fallback]
"a/m" = {SAME}
""",
    "inline tables": f"""\
# top
provider = {{ a = {{ url = "https://a.example/v1", models = ["m"], keys = ["env:A", "env:B"] }}, \
b = {{ url = "https://b.example/v1", models = ["m"] }} }}   # beside
fallback = {{ "a/m" = {SAME} }}   # beside the fallbacks
# end
""",
    "inline tables the other way round": f"""\
fallback = {{ "a/m" = {SAME} }}
provider = {{b.url="https://b.example/v1", b.models=["m"], a.url="https://a.example/v1", a.models=["m"], \
a.keys=[{{from="env:A"}}, {{from="env:B"}}]}} # no end of line""",
    "an inline table of each": f"""\
[provider]
# about a
a = {{ url = "https://a.example/v1", models = ["m"], keys = [ "env:A", "env:B", ] }}   # of a
b = {{ url = "https://b.example/v1", models = ["m"] }}   # beside b
[fallback]
"a/m" = {SAME}""",
    "quoted keys": f"""\
["provider"."a"]
"url" = "https://a.example/v1"
'models' = ["m"]
"k\\u0065ys" = ["env:A", "env:B"]   # of a
[ provider . 'b' ]
url = '''https://b.example/v1'''
models = ["m"]
['fallback']
'a/m' = {SAME}   # of the row
""",
    "the parts far from each other": """\
# about the endpoints
[provider.a.endpoints]   # of a
openai-chat = "https://a.example/v1"   # beside the url of a
# about b
[provider.b]
url = "https://b.example/v1"
models = ["m"]
# about the row
[fallback."a/m"]
then = ["b/m"]
return_after = "10m"
# about a
[provider.a]
models = ["m"]
keys = [
  { from = "env:A" },
  { from = "env:B" },   # of a, of B
]
""",
    "only a subtable": """\
# top

# about the endpoints
[provider.a.endpoints.openai-chat]
url = "https://a.example/v1"   # of a
[[provider.a.keys]]
from = "env:A"
[[provider.a.keys]]
from = "env:B"
[provider.b]
url = "https://b.example/v1"
models = ["m"]
[fallback]
"a/m" = { then = ["b/m"], return_after = "10m" }
""",
}

A, B = ('"https://a.example/v1"', '"https://b.example/v1"')
KEYS = 'keys = ["env:A", "env:B"]\n'
MODELS = 'models = ["m"]\n'
OF_A = f"[provider.a]\nurl = {A}\n{MODELS}{KEYS}"
OF_B = f"[provider.b]\nurl = {B}\n{MODELS}"
ROW = f'[fallback]\n"a/m" = {SAME}\n'
BOTH = 'endpoints = { openai-chat = "https://a.example/v1", anthropic-messages = "https://n.example" }\n'
PIN, OTHER = Pin.parse("a/m"), Pin.parse("b/m")

Edit = Callable[[Home], Any]
# Each edit, the file that says what is wanted, and what the lines that it may change contain.
EDITS: dict[str, tuple[Edit, str, str]] = {
    "provider add": (
        lambda home: config_file.add_provider(
            home, "new", {"url": "https://n.example/v1", "keys": ["env:N"]}
        ),
        OF_A + OF_B + '[provider.new]\nurl = "https://n.example/v1"\nkeys = ["env:N"]\n' + ROW,
        r"^provider = ",
    ),
    "provider rename": (
        lambda home: config_file.rename_provider(home, "a", "a.b"),
        (OF_A + OF_B + ROW).replace(".a]", '."a.b"]').replace("a/m", "a.b/m"),
        r"provider|a/m|^a[. ]",
    ),
    "provider rename of a fallback": (
        lambda home: config_file.rename_provider(home, "b", "z"),
        (OF_A + OF_B + ROW).replace(".b]", ".z]").replace("b/m", "z/m"),
        r"provider|b/m|^b[. ]",
    ),
    "provider remove": (
        lambda home: [config_file.set_fallback(home, PIN, []), config_file.remove_provider(home, "a")],
        OF_B,
        r"a/m|env:|m\"|'m'|keys|^\]|of a|of the row|fallback|return_after|\Wa\.example|^a\W|provider|then",
    ),
    "provider endpoint, another address": (
        lambda home: config_file.set_endpoints(home, "a", {"openai-chat": "https://n.example/v1"}),
        (OF_A + OF_B + ROW).replace("//a.", "//n."),
        r"//a\.",
    ),
    "provider endpoint, another dialect": (
        lambda home: config_file.set_endpoints(home, "a", {"anthropic-messages": "https://n.example"}),
        (OF_A + OF_B + ROW).replace(f"url = {A}\n", BOTH),
        r"//a\.",
    ),
    "provider endpoint, with its auth": (
        lambda home: config_file.set_endpoints(
            home, "a", {"openai-chat": {"url": "https://n.example/v1", "auth": "api-key"}}
        ),
        (OF_A + OF_B + ROW).replace(
            f"url = {A}", 'endpoints.openai-chat = { url = "https://n.example/v1", auth = "api-key" }'
        ),
        r"//a\.",
    ),
    "key add": (
        lambda home: config_file.add_key(home, "a", {"from": "env:N"}),
        (OF_A + OF_B + ROW).replace('"env:B"', '"env:B", "env:N"'),
        r"env:B",
    ),
    "key add with fields": (
        lambda home: config_file.add_key(home, "a", {"from": "env:N", "label": "n", "account": "c"}),
        (OF_A + OF_B + ROW).replace('"env:B"', '"env:B", { from = "env:N", label = "n", account = "c" }'),
        r"env:B",
    ),
    "key add with a value": (
        lambda home: config_file.add_key(home, "a", {"from": "cmd:x y", "value": "data.token"}),
        (OF_A + OF_B + ROW).replace('"env:B"', '"env:B", { from = "cmd:x y", value = "data.token" }'),
        r"env:B",
    ),
    "key add, the first": (
        lambda home: config_file.add_key(home, "b", {"from": "env:N"}),
        OF_A + OF_B + 'keys = ["env:N"]\n' + ROW,
        r"^provider = |^b = ",
    ),
    "key remove": (
        lambda home: config_file.remove_key(home, "a", "B"),
        (OF_A + OF_B + ROW).replace(', "env:B"', ""),
        r"env:B|of B",
    ),
    "key remove, the first": (
        lambda home: config_file.remove_key(home, "a", "A"),
        (OF_A + OF_B + ROW).replace('"env:A", ', ""),
        r"env:A|\[\[provider\.a\.keys\]\]",
    ),
    "key remove, all": (
        lambda home: [config_file.remove_key(home, "a", label) for label in ("A", "B")],
        (OF_A + OF_B + ROW).replace(KEYS, ""),
        r"env:|\[\[provider\.a\.keys\]\]|of B",
    ),
    "models": (
        lambda home: config_file.set_models(home, "a", ["m", "n"]),
        (OF_A + OF_B + ROW).replace(f"{MODELS}keys", 'models = ["m", "n"]\nkeys'),
        r"models|\"m\",|of a: (?:above|beside)|^\]",
    ),
    "no models": (
        lambda home: config_file.set_models(home, "b", None),
        (OF_A + OF_B + ROW).replace(f"{B}\n{MODELS}", f"{B}\n"),
        r"models",
    ),
    "fallback": (
        lambda home: config_file.set_fallback(home, OTHER, [PIN]),
        OF_A + OF_B + ROW + '"b/m" = { then = ["a/m"] }',
        r"^fallback = ",
    ),
    "fallback, another one": (
        lambda home: config_file.set_fallback(home, PIN, [OTHER, Pin.parse("b/n")]),
        (OF_A + OF_B + ROW).replace('"b/m"]', '"b/m", "b/n"]'),
        r"then",
    ),
    "fallback, another time": (
        lambda home: config_file.set_fallback(home, PIN, [OTHER], "1h"),
        (OF_A + OF_B + ROW).replace("10m", "1h"),
        r"10m|b/m",
    ),
    "no fallback": (
        lambda home: config_file.set_fallback(home, PIN, []),
        OF_A + OF_B,
        r"a/m|then|return_after",
    ),
    "a provisioned entry": (
        lambda home: enter(
            home, "b", {"preset": "groq", "forward_headers": ["X-A"]}, ["store:p"], "store:p", ["q"]
        ),
        OF_A + '[provider.b]\npreset = "groq"\nforward_headers = ["X-A"]\nkeys = ["store:p"]\n'
        'models = ["q"]\n' + ROW.replace("b/m", "b/m"),
        r"b\.example|models|^provider = |^b = ",
    ),
}
# The comments that go with what is removed or replaced, where any do.
GOES = {
    "provider remove": "of a|of the row",
    "key remove": "of B",
    "key remove, the first": "of a",
    "key remove, all": "of a|of B",
    "models": "of a",
    "no fallback": "of the row",
}
STYLES = {"LF": ("\n", b""), "CRLF with a mark": ("\r\n", BOM)}
ONLY_A_SUBTABLE = "only a subtable"


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home.at(tmp_path)


@functools.cache
def said_by(text: str) -> Any:
    with tempfile.TemporaryDirectory() as folder:
        home = Home.at(Path(folder))
        home.config.write_text(text)
        return plain(config_file.load(home))


def comments(text: str) -> list[str]:
    return re.findall(r"#[^\n]*", text)


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("name", EDITS)
def test_an_edit_does_exactly_its_change_in_every_layout(
    name: str, layout: str, style: str, home: Home
) -> None:
    edit, wanted, changed = EDITS[name]
    ends, mark = STYLES[style]
    if layout == ONLY_A_SUBTABLE:  # it declares no models, so that provider.a has no header of its own
        wanted = re.sub(r'(a.example/v1"\n|//n.example.*\n)models = \["m"\]\n', r"\1", wanted)
    before = LAYOUTS[layout].replace("\n", ends)
    home.config.write_bytes(mark + before.encode())
    edit(home)
    raw = home.config.read_bytes()
    after = raw.removeprefix(BOM).decode()
    assert raw.startswith(BOM) == bool(mark)
    assert after.replace(ends, "").count("\r") == after.replace(ends, "").count("\n") == 0
    assert plain(config_file.load(home)) == said_by(wanted)
    kept = after.splitlines()
    lost = [line for line in before.splitlines() if line not in kept]
    assert [line for line in lost if not re.search(changed, line)] == []
    survived = [text.rstrip() for text in comments(after)]
    lost = [text for text in map(str.rstrip, comments(before)) if text not in survived]
    assert [text for text in lost if not re.search(GOES.get(name, "nothing"), text)] == []


CHAT = '"https://a.example/v1"'
NEW = {"openai-chat": "https://new.example/v1"}
SECOND = {"anthropic-messages": "https://n.example"}
N = 'anthropic-messages = "https://n.example"'
# What `provider endpoint` is told, and the text before and after it.
ENDPOINTS: dict[str, tuple[dict[str, object], str, str]] = {
    "a table keeps its other fields": (
        NEW,
        (
            f"[provider.a.endpoints.openai-chat]\n# mine\nurl = {CHAT}   # theirs\n"
            'auth = "api-key"   # told so\nheaders = { X-Team = "blue" }   # us\n'
        ),
        (
            '[provider.a.endpoints.openai-chat]\n# mine\nurl = "https://new.example/v1"   # theirs\n'
            'auth = "api-key"   # told so\nheaders = { X-Team = "blue" }   # us\n'
        ),
    ),
    "an inline table keeps its other fields": (
        NEW,
        f'[provider.a]\nendpoints = {{ openai-chat = {{ url = {CHAT}, auth = "api-key" }} }}   # us\n',
        (
            '[provider.a]\nendpoints = { openai-chat = { url = "https://new.example/v1", auth = "api-key" } }'
            "   # us\n"
        ),
    ),
    "a url stays a url": (
        NEW,
        f'[provider.a]\nurl = {CHAT}   # us\ndialect = "openai-chat"\nauth = "api-key"\n',
        '[provider.a]\nurl = "https://new.example/v1"   # us\ndialect = "openai-chat"\nauth = "api-key"\n',
    ),
    "comments beside what is replaced": (
        SECOND,
        (
            f'[provider.a]\nurl = {CHAT}   # the url\ndialect = "openai-chat"   # the dialect\n'
            f'[[provider.a.keys]]\nfrom = "env:A"\nurl = {CHAT}   # of the key\n'
        ),
        (
            f"[provider.a]\nendpoints = {{openai-chat = {CHAT}, {N}}}   # the url\n# the dialect\n"
            f'[[provider.a.keys]]\nfrom = "env:A"\nendpoints = {{openai-chat = {CHAT}}}   # of the key\n'
        ),
    ),
    "the url of a key beside endpoints": (
        SECOND,
        (
            f"[provider.a]\nendpoints = {{ openai-chat = {CHAT} }}\n"
            f'keys = ["env:A", {{ from = "env:B", url = {CHAT} }}]\n'
        ),
        (
            f"[provider.a]\nendpoints = {{ openai-chat = {CHAT}, {N} }}\n"
            f'keys = ["env:A", {{ from = "env:B", endpoints = {{openai-chat = {CHAT}}} }}]\n'
        ),
    ),
    "the url of a key beside one endpoint": (
        NEW,
        (
            f"[provider.a]\nendpoints = {{ openai-chat = {CHAT} }}\n"
            f"keys = [{{ from = 'env:B', url = {CHAT} }}]\n"
        ),
        (
            '[provider.a]\nendpoints = { openai-chat = "https://new.example/v1" }\n'
            f"keys = [{{ from = 'env:B', url = {CHAT} }}]\n"
        ),
    ),
    "a url in a dotted key": (
        SECOND,
        f'provider.a.url = {CHAT}   # us\nprovider.a.keys = [{{ from = "env:B", url = {CHAT} }}]\n',
        (
            f"provider.a.endpoints = {{openai-chat = {CHAT}, {N}}}   # us\n"
            f'provider.a.keys = [{{ from = "env:B", endpoints = {{openai-chat = {CHAT}}} }}]\n'
        ),
    ),
}


@pytest.mark.parametrize(("given", "before", "after"), ENDPOINTS.values(), ids=ENDPOINTS)
def test_an_endpoint_changes_and_what_is_written_beside_it_stays(
    given: dict[str, object], before: str, after: str, home: Home
) -> None:
    home.config.write_text(before)
    config_file.set_endpoints(home, "a", given)
    assert home.config.read_text() == after


# A layout that is not edited, and the edit.
UNSAFE: dict[str, tuple[str, Edit]] = {
    "a comment before the comma": (
        f'[provider.a]\nurl = {CHAT}\nkeys = [\n  "env:A"   # mine\n  , "env:B"\n]\n',
        lambda home: config_file.remove_key(home, "a", "A"),
    ),
    "a comma on the last line": (
        f'[provider.a]\nurl = {CHAT}\nkeys = [\n  "env:A"\n, ]\n',
        lambda home: config_file.add_key(home, "a", {"from": "env:N"}),
    ),
}


@pytest.mark.parametrize(("text", "edit"), UNSAFE.values(), ids=UNSAFE)
def test_a_layout_that_cannot_be_edited_safely_is_left_to_the_user(text: str, edit: Edit, home: Home) -> None:
    home.config.write_text(text)
    with pytest.raises(ConfigError, match="cannot be edited safely; nothing was changed") as refused:
        edit(home)
    assert refused.value.next_step == f"${{EDITOR:-vi}} {home.config}"
    assert home.config.read_text() == text


ODD = r"""
a.b."c.d".'e' = 1979-05-27 07:32:00Z   # time
f = { g = [ { h = 1 }, { h.i = "]}#" } ], j = -1e3 } # }
k = [ # [
  [1, 2, ], # ,
  '''it's
  # no comment''''', "\"]\\", '"',
]
"" = ""
[ l . "m n" ]   # header
[[l.o]]
  p = true
  [[l.o.q]]
  r = 1
  [[l.o.q]]
  r = '''
2'''
[[l.o]]
[l.o.q]
s = inf"""


LONG = 't = """two \\""" "quotes" at the end"""""\nu = """\n# none"""\n'


@pytest.mark.parametrize("text", [*LAYOUTS.values(), LONG + ODD, ODD.replace("\n", "\r\n"), "", "# nothing"])
def test_every_value_is_located_in_the_text(text: str) -> None:
    check_spans(text)
