"""What other programs say about the files in packaging/: Helm's engine, the schemas of Kubernetes, and the
rules of compose files. Run by the environment `packaging` of suites/packages.toml; reads a question from
standard input, and prints the answer, both as JSON.

    {"chart": FOLDER, "values": {…}}   →  {"problems": […], "files": {NAME: TEXT}, "objects": […]}
    {"objects": […], "version": "1.37"} →  {"problems": […]}
    {"compose": FILE}                  →  {"problems": […], "file": {…}}
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import compose_spec
import helm_python as helm
import kubernetes_validate
import yaml

_RELEASE = {"name": "demo", "namespace": "prod"}


def _chart(folder: str, values: dict[str, Any]) -> dict[str, Any]:
    """Lint a chart and render it with `values`."""
    lint = helm.lint(folder, values, strict=True, namespace="prod")
    problems = [*lint["errors"], *(each["error"] for each in lint["messages"] if each["severity"] > 1)]
    files: dict[str, str] = {}
    try:
        with helm.Chart.load(folder) as chart:
            files = chart.render(values, **_RELEASE)
    except helm.HelmError as error:
        problems.append(str(error))
    rendered = [text for name, text in sorted(files.items()) if name.endswith(".yaml")]
    objects = [value for text in rendered for value in yaml.safe_load_all(text) if value]
    return {"problems": problems, "files": files, "objects": objects}


def _objects(objects: list[dict[str, Any]], version: str) -> dict[str, Any]:
    """Compare objects with the schemas of a version of Kubernetes, which allow nothing that they do not
    name."""
    problems = []
    for value in objects:
        try:
            kubernetes_validate.validate(value, version, strict=True)
        except kubernetes_validate.ValidationError as error:
            problems.append(f"{value['kind']}: {error}")
    return {"problems": problems}


def _compose(path: str) -> dict[str, Any]:
    text = Path(path).read_text("utf-8")
    problems = []
    try:
        compose_spec.PyOptions(apply_merge=True).from_yaml(text).validate()
    except Exception as error:  # noqa: BLE001 - it names none
        problems.append(str(error))
    return {"problems": problems, "file": yaml.safe_load(text)}


question = json.load(sys.stdin)
if "chart" in question:
    answer = _chart(question["chart"], question["values"])
elif "objects" in question:
    answer = _objects(question["objects"], question["version"])
else:
    answer = _compose(question["compose"])
json.dump(answer, sys.stdout)
