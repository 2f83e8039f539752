# SPDX-License-Identifier: MIT
"""A real Prometheus: where it comes from, a run of it, and questions to its HTTP API.

Debian's package would start a service, so it is only unpacked: into the folder CMDSTREAM_PROMETHEUS_CACHE, once.
A Prometheus that is installed is taken as it is.
"""
import ctypes
import fcntl
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.parse
import urllib.request

PATIENCE_S = 100  # For what takes a second on a machine that does nothing else.
DOWNLOAD_S = 100


def skip(reason):
    """Ends the test as one that cannot run here."""
    print(f"***** SKIPPED: {reason} *****", flush=True)
    sys.exit(77)


def unpack(cache):
    """Debian's package into `cache`/root. Returns: why that did not go, or None."""
    for tool in ("apt-get", "dpkg-deb"):
        if not shutil.which(tool):
            return f"no prometheus is installed, and without {tool} none can be had"
    try:
        done = subprocess.run(["apt-get", "download", "-qq", "prometheus"], cwd=cache, timeout=DOWNLOAD_S,
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    except subprocess.TimeoutExpired:
        return "apt-get download prometheus takes too long"
    packages = sorted(cache.glob("prometheus_*.deb"))
    if done.returncode != 0 or not packages:
        return f"apt-get download prometheus fails: {done.stderr.strip()[-200:]}"
    part = cache / "part"
    shutil.rmtree(part, ignore_errors=True)
    subprocess.run(["dpkg-deb", "-x", packages[-1], part], check=True)
    part.rename(cache / "root")
    return None


def find():
    """Returns: paths of prometheus and promtool. Skips the test if there are none."""
    installed = [shutil.which(name) for name in ("prometheus", "promtool")]
    if all(installed):
        return installed
    cache = pathlib.Path(os.environ["CMDSTREAM_PROMETHEUS_CACHE"])
    cache.mkdir(parents=True, exist_ok=True)
    with open(cache / "lock", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # Of two tests at once one fetches it.
        reason = None if (cache / "root").is_dir() else unpack(cache)
    if reason:
        skip(reason)
    return [str(cache / "root/usr/bin" / name) for name in ("prometheus", "promtool")]


def until(fact, what):
    """Returns: what `fact` returns once that is true. It is asked again and again."""
    end = time.monotonic() + PATIENCE_S
    while True:
        found = fact()
        if found:
            return found
        if time.monotonic() > end:
            raise AssertionError(f"in {PATIENCE_S} s there was no {what}")
        time.sleep(0.05)


class Prometheus:
    """One run, that scrapes `targets`, {job: (address, path)}, each second; "admin" with parameters that mean nothing there."""

    def __init__(self, program, folder, targets):
        folder = pathlib.Path(folder)
        jobs = "".join(f"- job_name: {job}\n  metrics_path: {path}\n"
                       f"  static_configs: [{{targets: ['{address}']}}]\n"
                       + ("  params: {'match[]': [up], module: [x]}\n" if job == "admin" else "")
                       for job, (address, path) in targets.items())
        (folder / "prometheus.yml").write_text(
            "global: {scrape_interval: 1s, scrape_timeout: 1s}\nscrape_configs:\n" + jobs, encoding="ascii")
        self.lines = []
        self.process = subprocess.Popen(
            [program, f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data",
             "--web.listen-address=127.0.0.1:0", "--enable-feature=native-histograms,exemplar-storage"],
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
            preexec_fn=lambda: ctypes.CDLL(None).prctl(1, signal.SIGKILL))  # It does not outlive its test.
        self.reader = threading.Thread(target=self.read_log)
        self.reader.start()
        try:
            self.address = until(self.find_address, "word of Prometheus' port")
            until(self.is_ready, "Prometheus that is ready")
        except AssertionError:
            self.close()
            raise

    def read_log(self):
        for line in self.process.stderr:
            self.lines.append(line)

    def find_address(self):
        if self.process.poll() is not None:
            raise AssertionError("Prometheus ended: " + "".join(self.lines[-5:]))
        for line in list(self.lines):
            match = re.search(r'msg="Listening on" address=(\S+)', line)
            if match:
                return match[1]
        return None

    def is_ready(self):
        try:
            with urllib.request.urlopen(f"http://{self.address}/-/ready", timeout=PATIENCE_S):
                return True
        except OSError:  # It listens before it is; an HTTPError is one of these.
            return False

    def ask(self, call, **words):
        """Returns: the data of its answer, or an AssertionError with its reason."""
        url = f"http://{self.address}/api/v1/{call}?{urllib.parse.urlencode(words)}"
        try:
            with urllib.request.urlopen(url, timeout=PATIENCE_S) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{url}: {error.read().decode(errors='replace')}") from error

    def vector(self, query):
        """Returns: [(labels, value)] of an instant query. A native histogram has its text as value."""
        result = self.ask("query", query=query)["result"]
        return [(one["metric"], float(one["value"][1]) if "value" in one else one["histogram"]) for one in result]

    def value(self, query):
        """Returns: the one number that it is, or None."""
        found = self.vector(query)
        if len(found) > 1:
            raise AssertionError(f"{query}: {len(found)} series, not one")
        return found[0][1] if found else None

    def close(self):
        self.process.terminate()
        self.process.wait(PATIENCE_S)
        self.reader.join()
        self.process.stderr.close()
