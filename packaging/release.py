"""Make what is published of a release: wheel, sdist, a file that runs, their hashes, and the files of
Homebrew and Scoop.

python packaging/release.py FOLDER --url ADDRESS     ADDRESS: where the files of FOLDER will be

It uploads nothing. The file that runs (holdfast-VERSION-….pex) needs a Python of the version and system that
made it; making it needs `pex`, on PATH or as --pex. It holds what requirements.lock names."""

from __future__ import annotations

import argparse
import hashlib
import subprocess
import sys
import sysconfig
import tempfile
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TEMPLATES = ROOT / "packaging" / "templates"
UV = str(Path(sys.executable).with_name("uv"))
EXTRAS = ("cli", "gateway")
LOCK = "holdfast-requirements.txt"


def version() -> str:
    """Return the version of the checkout."""
    return str(tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["version"])


def single_file_name() -> str:
    """Return the name of the file that runs with this Python on this system."""
    system = sysconfig.get_platform().replace(".", "_")
    return f"holdfast-{version()}-py{sys.version_info.major}{sys.version_info.minor}-{system}.pex"


def build(folder: Path, pex: str) -> list[Path]:
    """Make wheel, sdist, requirements and the file that runs in `folder`. Return them."""
    folder.mkdir(parents=True, exist_ok=True)
    packed = [UV, "build", "--quiet", "--out-dir", str(folder), "--no-create-gitignore"]
    _run([*packed, "--build-constraint", "requirements.lock", "--require-hashes"])
    wheel = folder / f"holdfast_llm-{version()}-py3-none-any.whl"
    lock = folder / LOCK
    extras = [word for extra in EXTRAS for word in ("--extra", extra)]
    compiled = [UV, "pip", "compile", "--quiet", "pyproject.toml", *extras, "--universal"]
    compiled += ["--constraint", "requirements.lock", "--generate-hashes", "--no-header", "--no-annotate"]
    _run([*compiled, "--no-emit-index-url", "--no-emit-find-links", "--output-file", str(lock)])
    single = folder / single_file_name()
    with tempfile.TemporaryDirectory() as environment:
        install_locked(Path(environment), lock, wheel)
        wanted = f"holdfast-llm[{','.join(EXTRAS)}]=={version()}"
        command = [pex, "--venv-repository", environment, wanted, "--console-script", "holdfast"]
        _run([*command, "--venv", "prepend", "--sh-boot", "--output-file", str(single)])
    return [wheel, folder / f"holdfast_llm-{version()}.tar.gz", lock, single]


def install_locked(environment: Path, lock: Path, wheel: Path, interpreter: str = "") -> None:
    """Make a virtual environment, of this Python or another, with what the lock names and the wheel."""
    python = str(environment / "bin" / "python")
    _run([UV, "venv", "--quiet", "--clear", "--python", interpreter or sys.executable, str(environment)])
    _run([UV, "pip", "install", "--quiet", "--python", python, "--require-hashes", "-r", str(lock)])
    _run([UV, "pip", "install", "--quiet", "--python", python, "--no-deps", str(wheel)])


def fill(folder: Path, files: list[Path], url: str) -> list[Path]:
    """Write SHA256SUMS, and the files of packaging/templates with the addresses and hashes of `files`."""
    digests = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
    sums = folder / "SHA256SUMS"
    sums.write_text("".join(f"{digest}  {name}\n" for name, digest in digests.items()), "utf-8")
    wheel, lock = files[0].name, LOCK
    values = {
        "@VERSION@": version(),
        "@WHEEL@": wheel,
        "@WHEEL_URL@": f"{url.rstrip('/')}/{wheel}",
        "@WHEEL_SHA256@": digests[wheel],
        "@LOCK@": lock,
        "@LOCK_URL@": f"{url.rstrip('/')}/{lock}",
        "@LOCK_SHA256@": digests[lock],
        "@HOMEPAGE@": url,
    }
    written = [sums]
    for template in sorted(TEMPLATES.iterdir()):
        text = template.read_text("utf-8")
        for name, value in values.items():
            text = text.replace(name, value)
        written.append(folder / template.name)
        written[-1].write_text(text, "utf-8")
    return written


def _run(command: list[str]) -> None:
    subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)


def main(arguments: list[str]) -> int:
    """Run as a program. Return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--url", required=True)
    parser.add_argument("--pex", default="pex")
    given = parser.parse_args(arguments)
    folder = given.folder.resolve()
    files = build(folder, given.pex)
    for path in (*files, *fill(folder, files, given.url)):
        sys.stdout.write(f"{path}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
