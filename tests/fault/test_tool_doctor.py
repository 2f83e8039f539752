# SPDX-License-Identifier: MIT
"""`cmdstream doctor` must not say that all is fine where `cmdstream serve` cannot work."""
import json
import shutil
import subprocess
import unittest

import peer
import program


def doctor(*words, **how):
    return program.run("doctor", "--json", *words, **how)


class Doctor(unittest.TestCase):
    def expect_problem(self, done, words):
        self.assertEqual(done.returncode, 1, done.stdout)
        found = json.loads(done.stdout)
        self.assertFalse(found["ok"])
        self.assertIn(words, " ".join(found["problems"]))
        return found

    def test_it_starts_servers_and_asks_them(self):
        done = doctor()
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        found = json.loads(done.stdout)
        self.assertTrue(found["ok"])
        self.assertEqual([server["kind"] for server in found["servers"]], ["TCP", "UNIX"])
        for server in found["servers"]:
            self.assertTrue(server["works"])
            self.assertRegex(server["text"], r": (\d+) of \1 connections answered, and the pool of threads")
        self.assertIn("Everything is fine." if not found["warnings"] else "It works.", program.run("doctor").stdout)

    def test_it_says_what_makes_tls_and_how_to_have_it_faster(self):
        found = json.loads(doctor().stdout)
        if found["tls"] is None:
            self.skipTest("this build has no TLS")
        self.assertRegex(found["tls"], r"^wolfSSL \d+\.\d+\.\d+ \((C only|assembly)\), (AES by|no fast AES)")
        self.assertEqual("scripts/build-wolfssl.sh" in " ".join(found["warnings"]), "(C only)" in found["tls"])
        self.assertIn(found["tls"], program.run("doctor").stdout)

    def test_a_server_that_may_not_bind_is_a_problem(self):
        if "bind" not in program.SYSCALLS:
            self.skipTest("the number of bind(2) is not known on this machine")
        done = doctor(refused="bind")
        if done.returncode == 77:
            self.skipTest("seccomp filters are not allowed here")
        found = self.expect_problem(done, "a server does not work on 127.0.0.1:0: it did not start")
        self.assertFalse(found["servers"][0]["works"] or found["servers"][1]["works"])

    def test_what_ends_the_trial_does_not_end_the_doctor(self):
        done = doctor(refused="io_uring_enter")
        if done.returncode == 77:
            self.skipTest("seccomp filters are not allowed here")
        self.expect_problem(done, "seccomp")

    def test_too_few_files_are_a_problem(self):
        self.expect_problem(doctor(files=8), "")

    def test_fewer_files_than_connections_are_a_warning(self):
        done = doctor(files=1000)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertIn("at most 1000 open files", " ".join(json.loads(done.stdout)["warnings"]))

    def test_no_loopback_is_a_problem(self):
        prefix = ["unshare", "--net"]
        if shutil.which("unshare") is None or subprocess.run([*prefix, "true"], stderr=subprocess.DEVNULL,
                                                             check=False).returncode != 0:
            self.skipTest("network namespaces are not allowed here")
        done = subprocess.run([*prefix, peer.tool(), "doctor", "--json"], capture_output=True, text=True,
                              timeout=peer.PATIENCE_S, check=False)
        found = self.expect_problem(done, "a client could not connect")
        self.assertFalse(found["servers"][0]["works"])
        self.assertTrue(found["servers"][1]["works"])


if __name__ == "__main__":
    peer.main()
