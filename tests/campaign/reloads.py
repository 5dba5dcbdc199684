"""
50 reloads, a third of them broken, and 20 upgrades in place, under load.

    POPBRIDGE=build/release/popbridge /usr/bin/python3 -B tests/campaign/reloads.py [turns]

Exit code 0 where no connection was refused, no session cut off or answered -ERR, no message
lost or deleted that nobody asked for.
"""

import json
import os
import random
import shutil
import signal
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../e2e"))

import bridge as bridge_module  # noqa: E402
import fake_imap  # noqa: E402
import net  # noqa: E402
import roles  # noqa: E402

SEED = 21
BROKEN = ("routes: [", "nothing: true\n", "\0", "routes:\n  - match: '*'\n")


class Campaign:
    def __init__(self, bridge, settings, program):
        self.bridge, self.settings, self.program = bridge, settings, program
        self.counts = {"reloaded": 0, "not reloaded": 0, "upgraded": 0, "not upgraded": 0}

    def _write(self, text):
        path = self.bridge.config_path
        with open(f"{path}.new", "w", encoding="utf-8") as out:
            out.write(text)
        os.replace(f"{path}.new", path)

    def _tell(self, number, event):
        self.counts[event] += 1
        self.bridge.process.send_signal(number)
        self.bridge.wait_log(event, self.counts[event], seconds=60)

    def reload(self, turn):
        settings = {**self.settings}
        settings["routes"] = [{**settings["routes"][0], "mark-read": turn % 2 == 0}]
        self._write(json.dumps(self.bridge._with_defaults(settings)))
        self._tell(signal.SIGHUP, "reloaded")

    def reload_broken(self, rng):
        self._write(rng.choice(BROKEN))
        self._tell(signal.SIGHUP, "not reloaded")

    def upgrade(self):
        shutil.copy(bridge_module.binary(), f"{self.program}.new")
        os.replace(f"{self.program}.new", self.program)
        self._tell(signal.SIGUSR2, "upgraded")

    def upgrade_broken(self):
        with open(f"{self.program}.new", "w", encoding="ascii") as out:
            out.write("#!/bin/sh\nexit 1\n")
        os.chmod(f"{self.program}.new", 0o755)
        os.replace(f"{self.program}.new", self.program)
        self._tell(signal.SIGUSR2, "not upgraded")


def run(campaign, load, turns):
    rng = random.Random(SEED)
    for turn in range(turns):
        if turn % 3 == 2:
            campaign.reload_broken(rng)
        else:
            campaign.reload(turn)
        if turn % 5 in (1, 3):
            campaign.upgrade()
        if turn % 25 == 10:
            campaign.upgrade_broken()
        load.wait_sessions(2, 60)


def main(turns):
    folder = net.short_folder("reloads")
    program = f"{folder}/popbridge"
    shutil.copy(bridge_module.binary(), program)
    with fake_imap.FakeImap() as fake:
        fake.messages[:] = roles.BODIES
        settings = roles.config(fake.url, state=f"{folder}/state",
                                listen=[{"address": f"127.0.0.1:{net.free_port()}"}],
                                limits={"drain": "60s"}, log={"level": "info"})
        with bridge_module.Bridge(settings, program=program) as bridge:
            campaign = Campaign(bridge, settings, program)
            with roles.Load(bridge, fake, clients=6) as load:
                run(campaign, load, turns)
            load.check()
            died = len(bridge.log("role died"))
    net.remove_folder(folder)
    print(f"done: {campaign.counts}; {died} roles died")
    print(f"load: {load.sessions} sessions, {len(load.aborted)} cut off or refused, "
          f"{len(load.refused)} answered -ERR, {len(load.wrong)} wrong messages")
    for what in (load.aborted + load.refused)[:10]:
        print(f"  {what}")
    good = not load.aborted and not load.refused and not load.wrong and died == 0
    print("reloads: all held" if good else "reloads: NOT ALL HELD")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 50))
