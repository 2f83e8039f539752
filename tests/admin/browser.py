# SPDX-License-Identifier: MIT
"""A Chromium without a window, driven over a pipe: pages, scripts in them, and pictures of them.

It is taken as it is installed. One that does not start here is none.
"""
import base64
import ctypes
import json
import os
import select
import shutil
import signal
import subprocess
import tempfile
import time

PATIENCE_S = 60  # For what takes a second on a machine that does nothing else.
NAMES = ("chromium", "chromium-headless-shell", "chromium-browser", "google-chrome-stable", "google-chrome")


class NoBrowser(Exception):
    """There is none, or it does not start."""


def find():
    """Returns: its path. Raises NoBrowser."""
    for name in NAMES:
        if shutil.which(name):
            return shutil.which(name)
    raise NoBrowser("no chromium is installed (apt-get install chromium-headless-shell)")


class Browser:
    def __init__(self, width=1280, height=860):
        path = find()
        self.folder = tempfile.mkdtemp()
        self.rest, self.count, self.problems = b"", 0, []
        to_read, self.out = os.pipe()
        self.into, to_write = os.pipe()

        def begin():
            os.setpgid(0, 0)  # No session of its own: the kernel shares CPUs out among those, and it would get too little.
            ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG: it does not outlive its test.
            one, other = os.dup(to_read), os.dup(to_write)
            os.dup2(one, 3)  # Where it reads commands, and
            os.dup2(other, 4)  # writes answers.
        # Its sandbox does not start as root or in a container; what it opens is a page of ours alone.
        self.process = subprocess.Popen(
            [path, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
             "--disable-background-networking", "--disable-component-update", "--hide-scrollbars",
             "--remote-debugging-pipe", f"--user-data-dir={self.folder}", f"--window-size={width},{height}"],
            preexec_fn=begin, close_fds=False,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.close(to_read)
        os.close(to_write)
        self.session = None
        try:
            target = self.call("Target.createTarget", url="about:blank")["targetId"]
            self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
            for domain in ("Page", "Runtime", "Log", "Network"):
                self.call(f"{domain}.enable")
        except (OSError, TimeoutError, KeyError) as error:
            self.close()
            raise NoBrowser(f"{path} does not start here: {error!r}") from error

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        for fd in (self.out, self.into):
            os.close(fd)
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    # ---- The pipe: messages of JSON, each with a 0 behind it ---------------------------------------------
    def message(self, end):
        while b"\0" not in self.rest:
            if not select.select([self.into], [], [], max(0.0, end - time.monotonic()))[0]:
                raise TimeoutError("no answer")
            more = os.read(self.into, 1 << 16)
            if not more:
                raise OSError("it has ended")
            self.rest += more
        data, self.rest = self.rest.split(b"\0", 1)
        return json.loads(data)

    def call(self, method, **parameters):
        self.count += 1
        message = {"id": self.count, "method": method, "params": parameters}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.out, json.dumps(message).encode() + b"\0")
        end = time.monotonic() + PATIENCE_S
        while True:
            answer = self.message(end)
            if answer.get("id") == self.count:
                if "error" in answer:
                    raise KeyError(f"{method}: {answer['error']}")
                return answer["result"]
            self.note(answer)

    def note(self, event):
        """What a script of the page has stumbled over, and what was asked for elsewhere."""
        method, parameters = event.get("method"), event.get("params", {})
        if method == "Runtime.exceptionThrown":
            self.problems.append(parameters["exceptionDetails"].get("exception", {}).get("description", "an exception"))
        elif method == "Log.entryAdded" and parameters["entry"]["level"] == "error":
            self.problems.append(parameters["entry"]["text"] + " " + parameters["entry"].get("url", ""))

    # ---- Pages -------------------------------------------------------------------------------------------
    def open(self, address):
        self.call("Page.navigate", url=address)

    def run(self, script):
        """Returns: the value of the expression."""
        result = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in result:
            raise AssertionError(f"{script}: {result['exceptionDetails']}")
        return result["result"].get("value")

    def until(self, script):
        """Waits for the expression to be true. Returns: whether it became so."""
        end = time.monotonic() + PATIENCE_S
        while time.monotonic() < end:
            try:
                if self.run(script):
                    return True
            except KeyError:  # The page is going to another one just now.
                pass
            time.sleep(0.05)
        return False

    def text(self):
        return self.run("document.body.innerText")

    def dark(self, is_dark):
        self.call("Emulation.setEmulatedMedia",
                  features=[{"name": "prefers-color-scheme", "value": "dark" if is_dark else "light"}])

    def resize(self, width, height):
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)

    def picture(self, path):
        data = self.call("Page.captureScreenshot", format="png")["data"]
        with open(path, "wb") as file:
            file.write(base64.b64decode(data))
