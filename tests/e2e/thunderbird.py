"""
Thunderbird without a window, driven over Marionette, the remote control that is built into
it: JSON over a socket, which carries JavaScript that runs with Thunderbird's own rights.
"""

import json
import os
import socket
import subprocess

import net

_PREFERENCES = """
user_pref("marionette.port", {port});
user_pref("app.update.enabled", false);
user_pref("datareporting.policy.dataSubmissionEnabled", false);
user_pref("mail.provider.suppress_dialog_on_startup", true);
user_pref("mail.shell.checkDefaultClient", false);
user_pref("mail.spotlight.firstRunDone", true);
user_pref("mailnews.start_page.enabled", false);
user_pref("network.connectivity-service.enabled", false);
"""

_PLAIN_PASSWORD = 3  # nsMsgAuthMethod.passwordCleartext
_SOCKET = {"none": 0, "starttls": 2, "implicit": 3}  # nsMsgSocketType

_COMMON = """
const done = arguments[arguments.length - 1];
const {MailServices} = ChromeUtils.importESModule("resource:///modules/MailServices.sys.mjs");
const inbox = server => server.rootFolder.getFolderWithFlags(0x1000);
const run = async () => { %s };
run().then(done, error => done(`failed: ${error} ${error.stack}`));
"""

_ADD_ACCOUNT = _COMMON % """
const [user, port, socketType, authMethod, keep, ca] = arguments;
Cc["@mozilla.org/security/x509certdb;1"].getService(Ci.nsIX509CertDB)
    .addCertFromBase64(ca, "CTu,,");
const server = MailServices.accounts.createIncomingServer(user, "localhost", "pop3");
Object.assign(server, {port, socketType, authMethod, password: "secret", doBiff: false,
                       loginAtStartUp: false});
server.setBoolValue("leave_on_server", keep);
server.setBoolValue("delete_mail_left_on_server", true);
server.valid = true;
const identity = MailServices.accounts.createIdentity();
identity.email = user + "@example.com";
const account = MailServices.accounts.createAccount();
account.incomingServer = server;
account.addIdentity(identity);
return server.key;
"""

_GET_MAIL = _COMMON % """
const server = MailServices.accounts.getIncomingServer(arguments[0]);
const status = await new Promise(resolve => MailServices.pop3.GetNewMail(null, {
    QueryInterface: ChromeUtils.generateQI(["nsIUrlListener"]),
    OnStartRunningUrl() {}, OnStopRunningUrl(url, code) { resolve(code); },
    onStartRunningUrl() {}, onStopRunningUrl(url, code) { resolve(code); },
}, inbox(server), server));
return [status, inbox(server).getTotalMessages(false), inbox(server).filePath.path];
"""

_DELETE = _COMMON % """
const folder = inbox(MailServices.accounts.getIncomingServer(arguments[0]));
const messages = [...folder.messages].slice(0, arguments[1]);
await new Promise(resolve => folder.deleteMessages(messages, null, true, false, {
    QueryInterface: ChromeUtils.generateQI(["nsIMsgCopyServiceListener"]),
    onStartCopy() {}, onProgress() {}, setMessageKey() {}, getMessageId() {},
    onStopCopy: resolve,
}, false));
"""


class Thunderbird:
    """
    with Thunderbird(pki.ca) as thunderbird:
        account = thunderbird.add_account(user, port, "starttls", keep=True)
        count, inbox = thunderbird.get_mail(account)
    """

    def __init__(self, ca):
        with open(ca, encoding="ascii") as pem:
            inner = pem.read().split("-----BEGIN CERTIFICATE-----")[1]
        self._ca = "".join(inner.split("-----END")[0].split())
        self.folder = net.short_folder("tb")
        self._input, self._number = b"", 0
        port = net.free_port()
        for name in ("profile", "home"):
            os.makedirs(f"{self.folder}/{name}")
        with open(f"{self.folder}/profile/user.js", "w", encoding="ascii") as preferences:
            preferences.write(_PREFERENCES.format(port=port))
        with open(f"{self.folder}/log", "wb") as log:
            self._process = subprocess.Popen(
                net.die_with_parent(["thunderbird", "--headless", "--no-remote",
                                     "--marionette", "-remote-allow-system-access",
                                     "--profile", f"{self.folder}/profile"]),
                env={"PATH": os.environ["PATH"], "HOME": f"{self.folder}/home"},
                stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self._socket = net.wait_until(lambda: _connect(port), 90 * net.slow_factor(),
                                      "Thunderbird listens")
        self._receive()  # its greeting
        self._command("WebDriver:NewSession", capabilities={})
        self._command("Marionette:SetContext", value="chrome")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._socket.close()
        self._process.terminate()
        self._process.wait(30 * net.slow_factor())
        net.remove_folder(self.folder)

    def add_account(self, user, port, tls, keep):
        return self._run(_ADD_ACCOUNT, user, port, _SOCKET[tls], _PLAIN_PASSWORD, keep,
                         self._ca)

    def get_mail(self, account):
        """How many messages its inbox holds then, and the inbox, an mbox, itself."""
        status, count, path = self._run(_GET_MAIL, account)
        assert status == 0, f"Thunderbird's code {status:#x}"
        with open(path, "rb") as inbox:
            return count, inbox.read()

    def delete(self, account, count):
        """The first ones of the inbox; the next get_mail() tells the server."""
        self._run(_DELETE, account, count)

    def _run(self, script, *arguments):
        answer = self._command("WebDriver:ExecuteAsyncScript", script=script,
                               args=arguments, scriptTimeout=120_000, newSandbox=True)
        value = answer["value"]
        assert not (isinstance(value, str) and value.startswith("failed: ")), value
        return value

    def _command(self, name, **parameters):
        self._number += 1
        text = json.dumps([0, self._number, name, parameters]).encode()
        self._socket.sendall(b"%d:%s" % (len(text), text))
        _, _, error, answer = self._receive()
        assert not error, f"{name}: {error}"
        return answer

    def _receive(self):
        while b":" not in self._input:
            self._more()
        length, _, self._input = self._input.partition(b":")
        while len(self._input) < int(length):
            self._more()
        text, self._input = self._input[:int(length)], self._input[int(length):]
        return json.loads(text)

    def _more(self):
        got = self._socket.recv(65536)
        assert got, "Thunderbird is gone"
        self._input += got


def _connect(port):
    try:
        return socket.create_connection(("127.0.0.1", port), 150 * net.slow_factor())
    except ConnectionRefusedError:
        return None
