"""docker/kubernetes: valid, and consistent with the image."""

import glob
import os
import shutil

import pytest
import yaml
from engine import TOP, run

FILES = sorted(glob.glob(os.path.join(TOP, "docker/kubernetes/*.yaml")))
MODELS = ("kubernetes-models@4", "@kubernetes-models/validate@4", "yaml@2")


@pytest.fixture(scope="session")
def validate(tmp_path_factory):
    folder = os.path.join(os.environ["IMAGE_STATE"], "models")
    if not os.path.isdir(os.path.join(folder, "node_modules/kubernetes-models")):
        os.makedirs(folder, exist_ok=True)
        run("npm", "install", "--no-save", "--no-audit", "--no-fund", *MODELS, cwd=folder)
    script = os.path.join(folder, "manifests.mjs")
    shutil.copy(os.path.join(TOP, "tests/image/manifests.mjs"), script)
    return lambda *files: run("node", script, *files, cwd=folder, check=False)


def objects():
    return [found for file in FILES for found in yaml.safe_load_all(open(file, encoding="utf-8"))]


def the(kind):
    return next(found for found in objects() if found["kind"] == kind)


def test_the_manifests_are_valid(validate):
    done = validate(*FILES)
    assert done.returncode == 0 and f"{len(objects())} good" in done.stdout, done.stdout


def test_a_wrong_key_would_be_found(validate, tmp_path):
    wrong = tmp_path / "wrong.yaml"
    with open(FILES[-1], encoding="utf-8") as text:
        wrong.write_text(text.read().replace("fsGroup:", "fsgroup:"))
    assert "fsgroup" in validate(str(wrong)).stdout


def test_what_the_deployment_names_exists():
    spec = the("Deployment")["spec"]["template"]["spec"]
    volumes = {volume["name"]: volume for volume in spec["volumes"]}
    assert volumes["configuration"]["configMap"]["name"] == the("ConfigMap")["metadata"]["name"]
    assert volumes["certificate"]["secret"]["secretName"] == the("Secret")["metadata"]["name"]
    claim = volumes["state"]["persistentVolumeClaim"]["claimName"]
    assert claim == the("PersistentVolumeClaim")["metadata"]["name"]
    assert {mount["name"] for mount in spec["containers"][0]["volumeMounts"]} == set(volumes)
    labels = the("Deployment")["spec"]["template"]["metadata"]["labels"]
    assert the("Service")["spec"]["selector"] == labels
    assert the("PodDisruptionBudget")["spec"]["selector"]["matchLabels"] == labels


def test_the_ports_are_those_of_the_configuration():
    config = yaml.safe_load(the("ConfigMap")["data"]["popbridge.yaml"])
    container = the("Deployment")["spec"]["template"]["spec"]["containers"][0]
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    listen = [int(entry["address"].rsplit(":", 1)[1]) for entry in config["listen"]]
    assert [ports["pop3"], ports["pop3s"]] == listen
    assert str(ports["web"]) == config["web"]["address"].rsplit(":", 1)[1]


def test_the_configuration_is_one(host, pki, tmp_path):
    file = tmp_path / "popbridge.yaml"
    file.write_text(the("ConfigMap")["data"]["popbridge.yaml"])
    tmp_path.chmod(0o755)
    os.chmod(pki.server.key, 0o644)
    host.podman("run", "--rm", "--network", "none",
                "-v", f"{file}:/etc/popbridge/popbridge.yaml:ro",
                "-v", f"{pki.server.chain}:/run/secrets/popbridge/tls.crt:ro",
                "-v", f"{pki.server.key}:/run/secrets/popbridge/tls.key:ro",
                "localhost/popbridge", "check")
