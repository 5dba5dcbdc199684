"""
demo.py BINARY [IMAP-URL]: what proxy/demo runs once popbridge is built. Without a URL it
starts a Dovecot with sample mail, in a temporary folder that is gone afterwards.
"""

import contextlib
import signal
import socket
import subprocess
import sys

import dovecot
import mails
import net

ADDRESS = ("127.0.0.1", 1110)


def main(binary, url=None):
    be_interruptible()
    with contextlib.ExitStack() as stack:
        if answers():
            print("Something already listens on 127.0.0.1:1110; the demo needs that port.")
            return 1
        if url is None:
            url = _sample_server(stack)
        # In a session of its own, so that Ctrl-C reaches it once, from here.
        bridge = subprocess.Popen(net.die_with_parent([binary, url]), start_new_session=True)
        stack.callback(stop, bridge)
        net.wait_until(lambda: answers() or bridge.poll() is not None, 20,
                       "popbridge answers on its port")
        if bridge.poll() is not None:
            return bridge.returncode or 1
        _explain(url, own=len(sys.argv) > 2)
        with contextlib.suppress(KeyboardInterrupt):
            bridge.wait()
            return bridge.returncode
        print("\n== stopping")
    return 0


def be_interruptible():
    signal.signal(signal.SIGTERM, _interrupted)
    signal.signal(signal.SIGINT, _interrupted)


def _interrupted(_signal, _frame):
    raise KeyboardInterrupt


def _sample_server(stack):
    print("== starting a sample IMAP server (Dovecot, in a temporary folder)")
    server = stack.enter_context(dovecot.Dovecot(passwords={"demo": b"demo"}))
    server.deliver("demo", mails.sample())
    print(f"== it has {len(server.uids('demo'))} messages and listens on {server.url}")
    return server.url


def answers():
    try:
        with socket.create_connection(ADDRESS, 2) as probe:
            probe.settimeout(2)
            return probe.recv(3) == b"+OK"
    except OSError:
        return False


def _explain(url, own):
    who = "YOU:PASSWORD" if own else "demo:demo"
    print(f"""
popbridge is in front of {url}. Try, in another terminal:

    curl -u {who} pop3://127.0.0.1:1110/          # the list of messages
    curl -u {who} pop3://127.0.0.1:1110/1         # the first one

or point any POP3 client at 127.0.0.1, port 1110, no TLS. Ctrl-C stops everything.
""", flush=True)


def stop(bridge):
    if bridge.poll() is None:
        bridge.terminate()
        try:
            bridge.wait(10)
        except subprocess.TimeoutExpired:
            bridge.kill()
            bridge.wait()


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:3]))
