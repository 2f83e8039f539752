# SPDX-License-Identifier: MIT
"""Files of TLS, and the headers by which an exporter of OTLP shows who it is: no page says anything of either. What else
is secret: test_pages.py."""
import http.server
import os
import pathlib
import shutil
import ssl
import subprocess
import tempfile
import threading
import unittest

import pages
from pages import ask, peer

ROOT = pathlib.Path(__file__).resolve().parents[2]
FORMS = ("text", "json", "html")
CANARY = "CaNaRy9642"


def all_pages(address):
    """Everything that can be looked at there, in each of its forms."""
    paths = [page["path"] for page in ask(address, "/?format=json").json()["pages"] if not page["is_change"]]
    return {f"{path}?format={form}": ask(address, f"{path}?format={form}").text() for path in paths for form in FORMS}


class Backend(http.server.ThreadingHTTPServer):
    """Of OTLP: keeps the headers that it is sent, and takes nothing."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):  # pylint: disable=invalid-name
            self.rfile.read(int(self.headers["Content-Length"]))
            self.server.headers.append(dict(self.headers))
            self.send_response(401)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_):  # pylint: disable=arguments-differ
            pass

    def __init__(self):
        super().__init__(("127.0.0.1", 0), self.Handler)
        self.headers = []
        self.thread = threading.Thread(target=self.serve_forever)
        self.thread.start()

    def stop(self):
        self.shutdown()
        self.thread.join()
        self.server_close()


class Secrets(unittest.TestCase):
    def is_told_nowhere(self, told, secrets):
        self.assertGreater(len(told), 20)
        for path, text in told.items():
            for secret in secrets:
                self.assertNotIn(secret, text, path)

    @unittest.skipUnless(os.environ.get("CMDSTREAM_TLS") == "1" and shutil.which("openssl"), "built without TLS, or no openssl")
    def test_no_page_tells_of_the_files_of_tls(self):
        with tempfile.TemporaryDirectory() as folder:
            folder = pathlib.Path(folder)
            subprocess.run([ROOT / "scripts/make-certs.sh", folder], check=True, stdout=subprocess.DEVNULL)
            files = {"--tls-cert": "server.pem", "--tls-key": "server.key", "--tls-ca": "ca.pem", "--tls-crl": "ca.crl"}
            for option, name in files.items():
                files[option] = (folder / name).rename(folder / f"{CANARY}-{name}")
            words = [word for pair in files.items() for word in pair]
            key = [line for line in files["--tls-key"].read_text(encoding="ascii").splitlines() if "---" not in line]
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            with pages.Server("--shards", 1, *words, listen="127.0.0.1:0") as server:
                with context.wrap_socket(peer.connect(server.address, server_info=False)) as link:
                    self.assertEqual(peer.read(link, len(peer.SERVER_INFO)), peer.SERVER_INFO)
                    told = all_pages(server.admin)
                    told["metrics"] = ask(server.metrics, "/metrics").text()
            self.assertRegex(told["/config?format=text"], r"tls +set\n")
            self.is_told_nowhere(told, [CANARY, str(folder), key[0]])

    @unittest.skipUnless(os.environ.get("CMDSTREAM_OTEL") == "1", "built without OTLP")
    def test_no_page_tells_the_headers_of_an_exporter(self):
        backend = Backend()
        environment = {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{backend.server_port}",
                       "OTEL_EXPORTER_OTLP_HEADERS": f"authorization=Bearer%20{CANARY}", "OTEL_METRIC_EXPORT_INTERVAL": "50"}
        try:
            with pages.Traced(environment) as traced:
                traced.visit(1, "text")
                self.assertTrue(peer.until(lambda: len(backend.headers) > 2))
                told = all_pages(traced.admin)
        finally:
            backend.stop()
        sent = {name.lower(): value for name, value in backend.headers[0].items()}
        self.assertEqual(sent["authorization"], f"Bearer {CANARY}")
        self.is_told_nowhere(told, [CANARY])


if __name__ == "__main__":
    pages.main()
