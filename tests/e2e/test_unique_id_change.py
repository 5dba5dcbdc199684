"""
A change of the configuration that gives known accounts other unique-ids makes their
clients download everything again: it is refused until somebody says that it is meant.
"""

import json
import shutil
import signal
import sqlite3

import bridge as bridges
import mails
import net
import pytest
import roles

OLD = "{uid:08x}{uidvalidity:08x}"
NEW = "{uidvalidity}-{uid}"


@pytest.fixture
def state():
    folder = net.short_folder("st")
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def config(fake, state):
    """config(template, ...): one route for *@example.com, and one for everybody else."""
    fake.mailbox("ada").add(mails.simple("one"))
    fake.add_folder("ada", "Scans", [mails.simple("two")])

    def made(template=OLD, folder="INBOX", others=OLD, **more):
        return {"workers": 1, "state": state, "listen": [{"address": "127.0.0.1:0"}],
                "routes": [{"match": "*@example.com", "server": fake.url, "user": "{local}",
                            "unique-id": template, "folder": folder, **more},
                           {"match": "*", "server": fake.url, "unique-id": others}]}
    return made


def visit(bridge, user="ada@example.com"):
    """The unique-ids; and the keeper has noted what they are made by."""
    with bridge.signed_in(user) as client:
        unique_ids = client.uidl()
        client.ok("QUIT")
    with open(bridge.config_path, encoding="utf-8") as text:
        store = f"{json.load(text)['state']}/popbridge.db"
    net.wait_until(lambda: is_noted(store, user), 10 * net.slow_factor(), "it is noted")
    return unique_ids


def is_noted(store, user):
    with sqlite3.connect(f"file:{store}?mode=ro", uri=True) as reader:
        return reader.execute("SELECT 1 FROM unique_ids WHERE account = CAST(? AS BLOB)",
                              (user,)).fetchone()


def write(bridge, config):
    bridge.write_config(config)


def reload(bridge, config):
    """The event that comes of it."""
    write(bridge, config)
    before = len(bridge.log("reloaded")), len(bridge.log("not reloaded"))
    bridge.process.send_signal(signal.SIGHUP)

    def happened():
        after = len(bridge.log("reloaded")), len(bridge.log("not reloaded"))
        return after != before and after
    after = net.wait_until(happened, 20 * net.slow_factor(), "a reload")
    return "reloaded" if after[0] > before[0] else bridge.log("not reloaded")[-1]["message"]


def check(bridge, *words):
    done = bridges.run("check", *words, "-c", bridge.config_path)
    return done.returncode, done.stderr.decode()


REFUSED = (f"routes[0].unique-id is {NEW}, and was {OLD}: 1 known account would get other "
           "unique-ids")


def test_a_reload_with_another_template_is_refused(start_bridge, config):
    bridge = start_bridge(config())
    before = visit(bridge)
    why = reload(bridge, config(NEW))
    assert REFUSED in why and "--accept-new-unique-ids" in why
    assert visit(bridge) == before
    assert reload(bridge, config()) == "reloaded"
    assert visit(bridge) == before


def test_what_check_and_a_start_refuse_the_flag_accepts(start_bridge, config):
    first = start_bridge(config())
    before = visit(first)
    write(first, config(NEW))
    assert check(first)[0] == 1 and REFUSED in check(first)[1]  # asks the service
    write(first, config())
    assert check(first)[0] == 0
    first.stop()
    write(first, config(NEW))
    assert check(first)[0] == 1 and REFUSED in check(first)[1]  # looks for itself
    refused = bridges.run("serve", "-c", first.config_path)
    assert refused.returncode == 1
    assert REFUSED in refused.stderr.decode()
    accepted = start_bridge(config(NEW), flags=["--accept-new-unique-ids"])
    after = visit(accepted)
    assert after != before
    accepted.stop()
    assert visit(start_bridge(config(NEW))) == after  # the flag is for once
    write(first, config())
    assert bridges.run("serve", "-c", first.config_path).returncode == 1


def test_a_reload_goes_through_once_it_is_accepted(start_bridge, config):
    bridge = start_bridge(config())
    before = visit(bridge)
    write(bridge, config(NEW))
    code, said = check(bridge, "--accept-new-unique-ids")
    assert code == 0 and "1 known accounts get other unique-ids with the next reload" in said
    assert visit(bridge) == before  # and is noted again
    assert reload(bridge, config(NEW, folder="Scans")) != "reloaded"  # not that one
    assert reload(bridge, config(NEW)) == "reloaded"
    after = visit(bridge)
    assert after != before
    assert REFUSED.replace(NEW, "x").replace(OLD, NEW).replace("x", OLD) in \
        reload(bridge, config())


def test_another_folder_is_refused_too(start_bridge, config):
    bridge = start_bridge(config())
    visit(bridge)
    assert "routes[0].folder is Scans, and was INBOX: 1 known account" in \
        reload(bridge, config(folder="Scans"))


def test_only_known_accounts_of_the_route_count(start_bridge, config):
    bridge = start_bridge(config())
    assert reload(bridge, config(NEW)) == "reloaded"  # nobody is known
    visit(bridge)
    assert reload(bridge, config(NEW, others=NEW)) == "reloaded"  # nobody of that route
    assert reload(bridge, config(NEW, others=OLD, **{"match": "*@example.org"})) != \
        "reloaded"  # ada is the other route's now
    assert reload(bridge, config(OLD, others=NEW, **{"match": "*@example.org"})) == "reloaded"


def test_a_folder_that_the_user_chose_does_not_hang_on_the_routes(start_bridge, config):
    bridge = start_bridge(config(**{"folder-separator": "+"}))
    visit(bridge, "ada+Scans@example.com")
    assert reload(bridge, config(folder="Scans", **{"folder-separator": "+"})) == "reloaded"
    assert REFUSED in reload(bridge, config(NEW, folder="Scans",
                                            **{"folder-separator": "+"}))


def test_who_is_forgotten_counts_no_more(start_bridge, config):
    bridge = start_bridge(config())
    visit(bridge)
    assert bridges.run("forget", "-c", bridge.config_path,
                       "ADA@example.com").returncode == 0
    assert reload(bridge, config(NEW)) == "reloaded"


def test_the_keeper_of_a_running_service_starts_again_whatever_was_accepted(
        start_bridge, config):
    """It is the one that runs: nobody is asked twice."""
    bridge = start_bridge(config())
    before = visit(bridge)
    write(bridge, config(NEW))
    roles.kill(roles.pids(bridge, "keeper")[0])
    bridge.wait_log("role died")
    assert visit(bridge) == before


def test_without_a_keeper_to_ask_a_reload_is_put_off(start_bridge, config):
    bridge = start_bridge(config())
    visit(bridge)
    keeper = roles.pids(bridge, "keeper")[0]
    roles.kill(keeper, signal.SIGSTOP)
    assert "does not say whether unique-ids stay as they are; reload again" in \
        reload(bridge, config(NEW))
    roles.kill(keeper, signal.SIGCONT)
    assert REFUSED in reload(bridge, config(NEW))


def test_check_without_a_store_says_nothing_of_it(config, state):
    done = bridges.run("check", "-c", _written(config(), state))
    assert done.returncode == 0 and done.stderr == b""


def _written(config, folder):
    path = f"{folder}/check.yaml"
    with open(path, "w", encoding="utf-8") as out:
        json.dump(config, out)
    return path
