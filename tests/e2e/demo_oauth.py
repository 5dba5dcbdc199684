"""
demo_oauth.py BINARY: what `sh proxy/demo --oauth` runs once popbridge is built. An OAuth2
provider, a Dovecot that takes its tokens and nothing else, popbridge between it and POP3,
all on loopback; an account with consent and a device password. Says what it does.
"""

import base64
import contextlib
import json
import os
import shlex
import subprocess
import sys
import threading

import mails
import net
import oauth
import pki

import demo

USER = "joe@example.test"
INVITED = "ann@example.test"


def main(binary):
    demo.be_interruptible()
    if demo.answers():
        print("Something already listens on 127.0.0.1:1110; the demo needs that port.")
        return 1
    with contextlib.ExitStack() as stack:
        print("== starting an OAuth2 provider, and an IMAP server that takes its tokens only")
        page = f"https://localhost:{net.free_port()}"
        provider = stack.enter_context(oauth.Provider(redirect=f"{page}/callback"))
        server = stack.enter_context(oauth.dovecot_for(provider))
        for mail in mails.sample():
            server.write_maildir(USER, mail)
            server.write_maildir(INVITED, mail)
        folder = net.short_folder("demo")
        stack.callback(net.remove_folder, folder)
        config = _write_config(folder, provider, server, page)
        bridge = subprocess.Popen(net.die_with_parent([binary, "serve", "-c", config]),
                                  stdin=subprocess.DEVNULL, start_new_session=True)
        stack.callback(demo.stop, bridge)
        net.wait_until(lambda: demo.answers() or bridge.poll() is not None, 20,
                       "popbridge answers on its port")
        if bridge.poll() is not None:
            return bridge.returncode or 1
        _account(binary, config, "add", USER, "--provider", provider.config["name"])
        _consent(binary, config)
        password = json.loads(_account(binary, config, "password", USER, "--label", "demo",
                                       "--json"))["password"]
        _account(binary, config, "add", INVITED, "--provider", provider.config["name"])
        link = json.loads(_account(binary, config, "invite", INVITED, "--json"))["url"]
        _explain(binary, config, password, link)
        with contextlib.suppress(KeyboardInterrupt):
            bridge.wait()
            return bridge.returncode
        print("\n== stopping")
    return 0


def _write_config(folder, provider, server, page):
    certificate = pki.Pki(f"{folder}/pki").server
    os.chmod(certificate.key, 0o600)
    _write_secret(f"{folder}/client.secret", oauth.PAGE_SECRET.encode())
    _write_secret(f"{folder}/master.key", base64.b64encode(os.urandom(32)))
    config = {"listen": [{"address": "127.0.0.1:1110"}], "state": f"{folder}/state",
              "master-key": f"{folder}/master.key",
              "providers": [provider.page_config(f"{folder}/client.secret")],
              "consent": {"url": page, "address": f"127.0.0.1:{page.rsplit(':', 1)[1]}",
                          "certificate": certificate.chain, "key": certificate.key},
              "routes": [{"match": "*", "server": server.url}],
              "log": {"level": "warning"}}
    if os.getuid() == 0:  # the folder is root's
        config["user"] = "root"
    path = f"{folder}/popbridge.yaml"
    with open(path, "w", encoding="utf-8") as out:
        json.dump(config, out, indent=2)
    print(f"== popbridge's configuration ({path}):\n{json.dumps(config, indent=2)}")
    return path


def _write_secret(path, secret):
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out:
        out.write(secret + b"\n")


def _account(binary, config, *words):
    command = [binary, "account", *words, "-c", config]
    print("== " + shlex.join(command), flush=True)
    return subprocess.run(command, check=True, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, text=True).stdout


def _consent(binary, config):
    command = [binary, "account", "consent", USER, "-c", config]
    print("== " + shlex.join(command), flush=True)
    with subprocess.Popen([*command, "--json"], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, text=True) as asking:
        row = json.loads(asking.stdout.readline())
        print(f"   The provider says: open {row['url']} and type {row['user_code']}")
        if sys.stdin.isatty():
            _wait_for_person(row)
        else:
            _consent_as_person(row)
        asking.communicate()
    if asking.returncode != 0:
        raise SystemExit("nobody consented")
    print("   The account has its consent.")


def _consent_as_person(row):
    print(f"   ... which this script does, as {USER}")
    assert oauth.person(row["url"], row["user_code"], USER), "the provider took no consent"


def _wait_for_person(row):
    print(f"   in a browser on this machine, sign in there as {USER} with any password;\n"
          "   or press Enter here, and this script does.", flush=True)

    def read():
        if sys.stdin.readline():
            _consent_as_person(row)

    threading.Thread(target=read, daemon=True).start()


def _explain(binary, config, password, link):
    print(f"""
The mailbox of {USER} is behind popbridge, for this device password:

    {password}

Try, in another terminal:

    curl -u {USER}:{password} pop3://127.0.0.1:1110/          # the list of messages
    curl -u {USER}:{password} pop3://127.0.0.1:1110/1         # the first one
    {binary} account show {USER} -c {config}

{INVITED} has not consented yet, and has got a link for that, good once. As that person,
open it in a browser on this machine (its certificate is this demo's: let the browser go on),
and sign in there as {INVITED} with any password:

    {link}

Ctrl-C stops everything.
""", flush=True)


if __name__ == "__main__":
    sys.exit(main(os.path.abspath(sys.argv[1])))
