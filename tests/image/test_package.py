"""The Debian package, in a clean Debian: installs, starts, is removed; the systemd units."""

import os
import re
import subprocess

import pytest
from engine import TOP, run

SERVICE = os.path.join(TOP, "docker/systemd/popbridge.service")

# No systemd in there: what the unit does is done by hand.
_STORY = r"""
set -e
export DEBIAN_FRONTEND=noninteractive
apt-get update -q
# The user stays, and with him adduser's copies of what it changed.
all() { find / -xdev \( -path /proc -o -path /sys -o -path /tmp -o -path /run -o -path /var/log \
	-o -path /var/cache -o -path /var/lib/apt -o -path /var/lib/dpkg \) -prune -o -print |
	grep -v '^/etc/.*-$' | sort; }
apt-get install -q -y --no-install-recommends man-db adduser curl \
	$(dpkg-deb -f /popbridge.deb Depends | sed 's/([^)]*)//g; s/,/ /g')
all > /tmp/before
echo "== install"; dpkg -i /popbridge.deb
dpkg -V popbridge; id popbridge
popbridge check
echo "== pages"; for page in "8 popbridge" "5 popbridge.yaml"; do
	man --path $page; man --warnings $page > /dev/null; done
echo "== start"
install -d -m 700 -o popbridge -g popbridge /var/lib/popbridge
sed -i 's/:110"/:10110"/; s/:995"/:10995"/' /etc/popbridge/popbridge.yaml
setpriv --reuid popbridge --regid popbridge --clear-groups --inh-caps=-all --no-new-privs \
	/usr/sbin/popbridge serve > /tmp/log 2>&1 & bridge=$!
for _ in $(seq 100); do grep -q event=ready /tmp/log && break; sleep 0.1; done
curl -sSk -X CAPA pop3s://127.0.0.1:10995 | grep UIDL
kill $bridge; wait $bridge; echo "ended with $?"
echo "== again"; dpkg -i --force-confold /popbridge.deb
echo "== remove"; dpkg -r popbridge; test -e /etc/popbridge/popbridge.yaml
test -e /var/lib/popbridge/self-signed.pem
echo "== purge"; dpkg -P popbridge
all > /tmp/after; diff /tmp/before /tmp/after && echo "nothing is left"
"""


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    """What the build stage made of it."""
    container = run("buildah", "from", "localhost/popbridge-package").stdout.strip()
    mount = run("buildah", "mount", container).stdout.strip()
    names = [name for name in os.listdir(f"{mount}/build") if name.endswith(".deb")]
    assert len(names) == 1
    out = str(tmp_path_factory.mktemp("package") / names[0])
    run("cp", f"{mount}/build/{names[0]}", out)
    run("buildah", "rm", container)
    return out


def test_it_installs_starts_and_is_removed_cleanly(package):
    container = run("buildah", "from", "docker.io/library/debian:bookworm-slim").stdout.strip()
    try:
        mount = run("buildah", "mount", container).stdout.strip()
        # Here manual pages are wanted.
        os.unlink(f"{mount}/etc/dpkg/dpkg.cfg.d/docker")
        run("cp", package, f"{mount}/popbridge.deb")
        done = run("buildah", "run", "--isolation", "chroot", container, "sh", "-c", _STORY,
                   check=False)
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
        for words in ("systemctl enable --now popbridge", "/man8/popbridge.8", "ended with 0",
                      "/man5/popbridge.yaml.5", "nothing is left"):
            assert words in done.stdout, f"{words} is not in {done.stdout[-3000:]}"
    finally:
        run("buildah", "rm", container)


def test_the_package_has_what_it_should(package):
    listing = run("dpkg-deb", "-c", package).stdout
    for path in ("./usr/sbin/popbridge", "./etc/popbridge/popbridge.yaml",
                 "./lib/systemd/system/popbridge.service",
                 "./lib/systemd/system/popbridge.socket"):
        assert re.search(rf" {re.escape(path)}$", listing, re.M), path
    conffiles = run("dpkg-deb", "-I", package, "conffiles").stdout
    assert conffiles.split() == ["/etc/popbridge/popbridge.yaml"]
    depends = run("dpkg-deb", "-f", package, "Depends").stdout
    assert "libetpan20" in depends and "adduser" in depends


def test_the_service_is_hardened():
    """systemd's own judgement: 0 is best, 10 worst."""
    done = run("systemd-analyze", "security", "--offline=true", "--no-pager", SERVICE)
    exposure = re.search(r"exposure level for popbridge.service: ([\d.]+)", done.stdout)
    assert float(exposure[1]) <= 1.5, done.stdout


def test_the_units_have_no_mistakes(tmp_path):
    for name in ("popbridge.service", "popbridge.socket"):
        with open(os.path.join(TOP, "docker/systemd", name), encoding="utf-8") as unit:
            text = re.sub(r"/usr/sbin/popbridge", "/bin/true", unit.read())
        (tmp_path / name).write_text(text)
    done = subprocess.run(["systemd-analyze", "verify", "--man=no",
                           str(tmp_path / "popbridge.service"),
                           str(tmp_path / "popbridge.socket")],
                          capture_output=True, text=True, check=False)
    complaints = [line for line in done.stderr.splitlines() if "popbridge" in line]
    assert not complaints, complaints
