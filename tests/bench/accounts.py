"""
Ten thousand registered accounts: how long their list takes, what a sign-in costs in the
keeper, and what happens when all their tokens have to be fetched after an outage.

    POPBRIDGE=build/release/popbridge /usr/bin/python3 -B tests/bench/accounts.py [10000 [STORM]]

STORM of them (all) have old tokens then. Prints the figures; exit code 0: the list came within a second, no token was lost, and the
provider never had more than a few requests at once.
"""

import base64
import collections
import concurrent.futures
import contextlib
import os
import socket
import struct
import subprocess
import sys
import threading
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../e2e"))

import bridge  # noqa: E402
import fake_imap  # noqa: E402
import net  # noqa: E402
import oauth  # noqa: E402
import roles  # noqa: E402

LIST_S = 1.0
SIGN_INS = 500
CLIENTS = 32
ANSWER_S = 0.05  # the provider's
STORM_S = 900  # all have to be back by then
AT_ONCE = 8  # requests at the provider; the role's threads are fewer
OAUTH, COLLECT = 2, 2  # proxy/ipc/admin_message.h, as the numbers below
REGISTER, REGISTER_ALL, ADD_DEVICE, END, DEVICE = 8, 9, 11, 16, 25


class Control:
    """The control socket, by its packets: no command for each of ten thousand."""

    def __init__(self, path):
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._socket.connect(path)

    def ask(self, kind, numbers=(), texts=()):
        packet = struct.pack("<BBxx", 1, kind)
        packet += b"".join(struct.pack("<Q", number) for number in numbers)
        packet += b"".join(struct.pack("<H", len(text)) + text.encode() for text in texts)
        self._socket.send(packet)
        rows = [self._socket.recv(65536)]
        while rows[-1][1] not in (END, END + 1):
            rows.append(self._socket.recv(65536))
        assert rows[-1][1] == END, rows[-1]
        return rows[:-1]

    def register(self, user, token):
        self.ask(REGISTER, (OAUTH, COLLECT), (user, "", user, "", "", "test", token))

    def device(self, user):
        (row,) = self.ask(ADD_DEVICE, (0, 0, 0, 0), (user, "", "", "", ""))
        assert row[1] == DEVICE
        texts, rest = [], row[4 + 6 * 8:]
        while rest:
            (size,) = struct.unpack_from("<H", rest)
            texts.append(rest[2:2 + size].decode())
            rest = rest[2 + size:]
        return texts[2]


class Strict(oauth.Front):
    """Each refresh token is good once; one that comes again loses its account."""

    def __init__(self):
        super().__init__()
        self.is_down, self.lives_s = False, 3600
        self.good, self.lost, self.times = {}, [], []
        self.at_once = self.most = self.refused = 0
        self._guard = threading.Lock()
        self.on("/token", self._grant)
        self.config = {"name": "test", "kind": "custom", "client-id": "c", "scope": "imap",
                       "token-endpoint": f"{self.url}/token"}

    def _grant(self, asked):
        with self._guard:
            self.answers.clear()
            self.at_once += 1
            self.most = max(self.most, self.at_once)
        time.sleep(ANSWER_S)
        with self._guard:
            self.at_once -= 1
            return self._judge(asked.form["refresh_token"])

    def _judge(self, token):
        if self.is_down:
            self.refused += 1
            return 503, {"error": "temporarily_unavailable"}
        user, turn = token.split("-")
        if self.good.get(user, "0") != turn:
            self.lost.append(user)
            return 400, {"error": "invalid_grant"}
        self.good[user] = str(int(turn) + 1)
        self.times.append(time.monotonic())
        return 200, {"access_token": "token", "token_type": "Bearer",
                     "expires_in": self.lives_s,
                     "refresh_token": f"{user}-{self.good[user]}"}


def sign_in(address, user, password):
    """PASS's answer."""
    with contextlib.closing(socket.create_connection(address, timeout=120)) as client:
        lines = client.makefile("rb")
        lines.readline()
        client.sendall(f"USER {user}\r\n".encode())
        lines.readline()
        client.sendall(f"PASS {password}\r\n".encode())
        answer = lines.readline()
        client.sendall(b"QUIT\r\n")
        lines.readline()
        return answer


def cpu_s(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as stat:
        fields = stat.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Bench:
    def __init__(self, count, provider, server):
        self.provider = provider
        self.folder = net.short_folder("ba")
        key = f"{self.folder}/master.key"
        with open(key, "w", encoding="ascii") as out:
            out.write(base64.b64encode(os.urandom(32)).decode() + "\n")
        self.running = bridge.Bridge({
            "workers": 2, "state": f"{self.folder}/state", "master-key": key,
            "providers": [provider.config], "routes": [{"match": "*", "server": server}],
            "limits": {"accept-rate-per-address": 100000, "accept-rate": 100000},
            "log": {"level": "info"}})
        self.address = self.running.addresses()[0]
        self.control = Control(f"{self.folder}/state/control")
        self.users = [f"user{n}" for n in range(count)]
        for user in self.users:
            self.control.register(user, f"{user}-0")
        self.control.ask(REGISTER_ALL)
        self.passwords = {user: self.control.device(user) for user in self.users}

    def list_accounts(self):
        began = time.monotonic()
        done = subprocess.run([bridge.binary(), "account", "list", "--json", "-c",
                               self.running.config_path], capture_output=True, check=True)
        took = time.monotonic() - began
        return done.stdout.decode(), took

    def sign_in_all(self, users):
        with concurrent.futures.ThreadPoolExecutor(CLIENTS) as pool:
            return list(pool.map(lambda user: sign_in(self.address, user,
                                                      self.passwords[user]), users))

    def cost(self):
        """Processor time of the keeper for a sign-in whose token is good."""
        users = self.users[:SIGN_INS]
        self.sign_in_all(users)  # fetches the tokens
        keeper = roles.pids(self.running, "keeper")[0]
        before = cpu_s(keeper)
        answers = self.sign_in_all(users)
        assert all(one.startswith(b"+OK") for one in answers), answers[0]
        return (cpu_s(keeper) - before) / len(users)

    def storm(self):
        """All tokens are old, the provider is down, all clients come: and then it is back."""
        self.provider.is_down = True
        began = time.monotonic()
        answers = self.sign_in_all(self.users)
        temporary = sum(b"[SYS/TEMP]" in one for one in answers)
        self.provider.is_down, self.provider.times = False, []
        back = time.monotonic()
        left = list(self.users)
        while left and time.monotonic() - back < STORM_S:
            answers = self.sign_in_all(left)
            left = [user for user, one in zip(left, answers) if not one.startswith(b"+OK")]
        return temporary, back - began, left, [at - back for at in self.provider.times]

    def close(self):
        self.running._forgiven = True
        self.running.process.terminate()
        self.running.process.wait()
        net.remove_folder(self.folder)


def main():
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 10000
    storm = int(sys.argv[2]) if len(sys.argv) > 2 else count
    with Strict() as provider, fake_imap.FakeImap() as server:
        bench = Bench(count, provider, server.url)
        try:
            return judge(bench, count, storm)
        finally:
            bench.close()


def judge(bench, count, storm):
    provider = bench.provider
    listed, took = bench.list_accounts()
    assert listed.count('"consent":"given"') == count, listed[:300]
    print(f"account list: {count} accounts in {took:.3f} s (limit {LIST_S} s)")
    print(f"a sign-in costs the keeper {bench.cost() * 1e6:.0f} us of processor time")
    used = set(provider.good)
    fresh = [user for user in bench.users if user not in used]
    bench.users = fresh = fresh[:storm]
    temporary, outage, left, times = bench.storm()
    seconds = collections.Counter(int(at) for at in times)
    print(f"outage: {len(fresh)} sign-ins in {outage:.0f} s, {temporary} told to come again, "
          f"{provider.refused} requests reached the provider")
    print(f"storm: {len(times)} refreshes in {max(times):.0f} s, at most "
          f"{max(seconds.values())} a second and {provider.most} at once")
    print(f"lost: {len(provider.lost)} tokens; not back: {len(left)}")
    return 0 if took < LIST_S and not provider.lost and not left and \
        provider.most <= AT_ONCE else 1


if __name__ == "__main__":
    sys.exit(main())
