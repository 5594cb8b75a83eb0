"""The files of `deploy/`: third parties' judges accept them, and what they ask of holdfast is there."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from holdfast.cli.main import cli

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
MANIFESTS = sorted((DEPLOY / "kubernetes").glob("*.yaml"))
JUDGES = ROOT / ".venv-judges" / "bin"


def judge(name: str) -> str:
    found = shutil.which(name, path=str(JUDGES)) or shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed: sh tools/judges.sh judges")
    return found


def documents(*files: Path) -> list[dict[str, Any]]:
    return [document for file in files for document in yaml.safe_load_all(file.read_text()) if document]


def compose() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    return found


def pods() -> Iterator[tuple[str, dict[str, Any]]]:
    """(name, pod's specification) of everything that runs pods."""
    for document in documents(*MANIFESTS):
        if document["kind"] in ("Deployment", "StatefulSet", "Job"):
            yield document["metadata"]["name"], document["spec"]["template"]["spec"]


def commands() -> Iterator[tuple[str, list[str]]]:
    """(where it stands, the arguments of holdfast) of every container that runs it."""
    image = (DEPLOY / "Dockerfile").read_text()
    yield "Dockerfile", yaml.safe_load(re.findall(r"^CMD (.*)$", image, re.M)[-1])
    for name, service in compose()["services"].items():
        if service["image"].startswith("holdfast:"):
            yield f"compose {name}", service["command"]
    for name, pod in pods():
        for container in pod["containers"]:
            if "args" in container:
                yield f"kubernetes {name}", container["args"]
            else:
                script = re.search(r"holdfast (.*?) <", container["command"][-1])
                assert script is not None
                yield f"kubernetes {name}", script[1].split()


def test_hadolint_accepts_the_dockerfile() -> None:
    done = subprocess.run(
        [judge("hadolint"), DEPLOY / "Dockerfile"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


@pytest.mark.parametrize("manifest", MANIFESTS, ids=lambda path: path.name)
def test_kubernetes_validate_accepts_the_manifests(manifest: Path) -> None:
    command = [judge("kubernetes-validate"), "--strict", manifest]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (done.stdout + done.stderr).count("passed for resource") == len(documents(manifest))


@pytest.mark.parametrize(("place", "arguments"), list(commands()))
def test_every_command_is_one_of_holdfasts(place: str, arguments: list[str]) -> None:
    """Parsed as the command line does, without running it: an option that is not there is refused."""
    command: click.Command = cli
    context, rest = click.Context(cli), [str(argument) for argument in arguments]
    while isinstance(command, click.Group):
        name, found, rest = command.resolve_command(context, rest)
        assert found is not None, f"{place}: {name}"
        command, context = found, click.Context(found, parent=context, info_name=name)
    assert command.make_context(command.name, rest, parent=context) is not None


def test_every_variable_is_one_that_holdfast_reads() -> None:
    text = "".join(path.read_text() for path in (DEPLOY / "compose.yaml", *MANIFESTS))
    source = "".join(path.read_text() for path in (ROOT / "src" / "holdfast").rglob("*.py"))
    used = set(re.findall(r"\bHOLDFAST_[A-Z_]+\b", text))
    assert used and {name for name in used if f'"{name}"' not in source} == set()
    documented = (ROOT / "docs" / "how-to" / "object-stores.md").read_text()
    assert {name for name in re.findall(r"\bAWS_[A-Z_]+\b", text) if name not in documented} == set()


def test_every_pod_is_confined() -> None:
    for name, pod in pods():
        assert pod["securityContext"]["runAsNonRoot"] is True, name
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, name
        assert pod["automountServiceAccountToken"] is False, name
        for container in [*pod["containers"], *pod.get("initContainers", [])]:
            context = container["securityContext"]
            assert context["readOnlyRootFilesystem"] is True and not context["allowPrivilegeEscalation"], name
            assert context["capabilities"] == {"drop": ["ALL"]}, name
            assert container["resources"]["limits"]["memory"] and container["resources"]["requests"], name


def test_what_serves_is_probed_and_kept_up() -> None:
    budgets = {d["metadata"]["name"] for d in documents(*MANIFESTS) if d["kind"] == "PodDisruptionBudget"}
    replicated = {d["metadata"]["name"]: d for d in documents(*MANIFESTS) if "replicas" in d.get("spec", {})}
    assert set(replicated) == budgets == {"server", "worker", "inference"}
    assert {document["spec"]["replicas"] for document in replicated.values()} == {2}
    for name in ("server", "inference"):
        container = dict(pods())[name]["containers"][0]
        assert {"startupProbe", "livenessProbe", "readinessProbe"} <= set(container), name


def test_every_label_volume_and_secret_is_declared() -> None:
    labels = [
        d["spec"]["template"]["metadata"]["labels"]
        for d in documents(*MANIFESTS)
        if "template" in d.get("spec", {})
    ]
    for document in documents(*MANIFESTS):
        if document["kind"] in ("Service", "PodDisruptionBudget"):
            wanted = document["spec"]["selector"]
            assert wanted.get("matchLabels", wanted) in labels, document["metadata"]["name"]
    guide = (ROOT / "docs" / "how-to" / "deploy-with-replicas.md").read_text()
    for name, pod in pods():
        claims = {"data"} if name == "inference" else set()
        declared = claims | {volume["name"] for volume in pod["volumes"]}
        for container in [*pod["containers"], *pod.get("initContainers", [])]:
            assert {mount["name"] for mount in container["volumeMounts"]} <= declared, name
    for secret in re.findall(
        r"holdfast-(?:database|objects|keys|inference|admin)\b", "".join(p.read_text() for p in MANIFESTS)
    ):
        assert secret in guide


def test_no_secret_stands_in_the_files_and_no_image_floats() -> None:
    assert not any(document["kind"] == "Secret" for document in documents(*MANIFESTS))
    images = [service["image"] for service in compose()["services"].values()]
    images += [c["image"] for _, pod in pods() for c in [*pod["containers"], *pod.get("initContainers", [])]]
    images += re.findall(r"^FROM (\S+)", (DEPLOY / "Dockerfile").read_text(), re.M)
    assert [image for image in images if not re.search(r":\S*\d+\.\d+|:RELEASE\.\d", image)] == []
    from holdfast.version import __version__

    assert {image for image in images if image.startswith("holdfast:")} == {f"holdfast:{__version__}"}


def test_the_composition_has_two_of_each() -> None:
    services = compose()["services"]
    assert services["server"]["deploy"] == services["worker"]["deploy"] == {"replicas": 2}
    assert {"inference-1", "inference-2", "database", "objects", "proxy"} <= set(services)
    for name, service in services.items():
        if service["image"].startswith("holdfast:"):
            assert service["read_only"] and service["cap_drop"] == ["ALL"], name
