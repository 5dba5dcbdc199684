"""docker/kubernetes: valid, consistent with the image, and it runs, by `podman play kube`."""

import glob
import json
import os
import shutil

import pytest
import yaml
from engine import HOST, TOP, Container, run, wait_until

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


@pytest.fixture
def pod(host, network, pki, dovecot, tmp_path):
    """The deployment in front of `dovecot`; the container in it."""
    config = the("ConfigMap")
    settings = yaml.safe_load(config["data"]["popbridge.yaml"])
    settings["routes"][0].update({"server": "imaps://dovecot",
                                  "ca-file": "/run/secrets/popbridge/ca.crt"})
    config["data"]["popbridge.yaml"] = json.dumps(settings)
    deployment = the("Deployment")
    spec = deployment["spec"]["template"]["spec"]
    spec["containers"][0]["image"] = "localhost/popbridge:latest"
    # podman 4.3 wants to be told, and takes a secret's data as it is.
    next(volume for volume in spec["volumes"] if "secret" in volume)["secret"]["optional"] = False
    secret = tmp_path / "secret.yaml"
    files = {"tls.crt": pki.server.chain, "tls.key": pki.server.key, "ca.crt": pki.ca}
    secret.write_text(json.dumps({"data": {
        name: open(path, encoding="ascii").read() for name, path in files.items()}}))
    manifest = tmp_path / "pod.yaml"
    manifest.write_text(yaml.safe_dump_all([config, the("PersistentVolumeClaim"), deployment]))
    host.podman("secret", "create", the("Secret")["metadata"]["name"], str(secret))
    try:
        host.podman("play", "kube", "--network", network, str(manifest))
        yield Container(host, "popbridge-pod-0-popbridge").wait_log("event=ready")
    finally:
        host.podman("play", "kube", "--down", str(manifest), check=False)
        host.podman("secret", "rm", the("Secret")["metadata"]["name"], check=False)
        host.podman("volume", "rm", "-f", *(
            volume for volume in host.podman("volume", "ls", "-q").stdout.split()
            if volume.startswith("popbridge")), check=False)


def test_it_runs_and_its_probes_answer(pod, host):
    container = the("Deployment")["spec"]["template"]["spec"]["containers"][0]
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        get = container[probe]["httpGet"]
        url = f"http://{HOST}:{ports[get['port']]}{get['path']}"
        wait_until(lambda url=url: host.curl("-f", url, check=False).returncode == 0, 10, url)
    mail = host.curl("-k", "-u", "demo:demo", f"pop3s://{HOST}:{ports['pop3s']}/1").stdout
    assert "This message lies on an IMAP server" in mail
    assert pod.stop() == 0


def test_it_runs_as_the_restricted_standard_wants(pod):
    with open(f"/proc/{pod.state['Pid']}/status", encoding="ascii") as status:
        fields = dict(line.rstrip("\n").split(":\t", 1) for line in status if ":\t" in line)
    assert set(fields["Uid"].split()) == {"10001"}
    assert int(fields["CapEff"], 16) == int(fields["CapBnd"], 16) == 0
    assert fields["NoNewPrivs"] == "1" and fields["Seccomp"] == "2"
    mounts = f"/proc/{pod.state['Pid']}/mountinfo"
    with open(mounts, encoding="ascii") as lines:
        root = next(line.split() for line in lines if line.split()[4] == "/")
    assert "ro" in root[5].split(",")


def test_sessions_have_their_time_to_end_and_one_replica_runs_at_a_time():
    deployment = the("Deployment")["spec"]
    assert deployment["template"]["spec"]["terminationGracePeriodSeconds"] == 150
    assert deployment["replicas"] == 1 and deployment["strategy"] == {"type": "Recreate"}
