# SPDX-License-Identifier: MIT
"""The program `cmdstream` from outside: runs of it, with limits, refused system calls and terminals."""
import ctypes
import os
import platform
import pty
import resource
import select
import signal
import struct
import subprocess
import time
import unittest

import peer

SYSCALLS = {"x86_64": {"bind": 49}, "aarch64": {"bind": 200}}.get(platform.machine(), {})
SYSCALLS["io_uring_enter"] = 426  # The same everywhere.
EPERM = 1


def begin(files=None, refused=None):
    """What a child does before it becomes the program: signals as from a shell, limits, a filter."""
    def run():
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG: it does not outlive its test.
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ignored, if the tests run in the background.
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        if files is not None:
            resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))
        if refused is not None:
            refuse(SYSCALLS[refused])
    return run


def refuse(number):
    """From now on this system call fails with EPERM, here and in what is executed."""
    rules = [(0x20, 0, 0, 0), (0x15, 0, 1, number), (0x06, 0, 0, 0x00050000 | EPERM), (0x06, 0, 0, 0x7FFF0000)]
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *rule) for rule in rules))
    program = ctypes.create_string_buffer(struct.pack("@HP", len(rules), ctypes.addressof(code)))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(38, 1, 0, 0, 0) or libc.prctl(22, 2, ctypes.c_ulong(ctypes.addressof(program)), 0, 0):
        os._exit(77)


def start(*words, files=None, refused=None, **how):
    return subprocess.Popen([peer.tool(), *map(str, words)], preexec_fn=begin(files, refused), **how)


def run(*words, files=None, refused=None, stdout=subprocess.PIPE, **how):
    """Returns: the ended process, with stdout and stderr as text."""
    return subprocess.run([peer.tool(), *map(str, words)], preexec_fn=begin(files, refused), stdout=stdout,
                          stderr=subprocess.PIPE, text=True, timeout=peer.PATIENCE_S, check=False, **how)


class Terminal:
    """A pseudo-terminal, whose other end a program has as its stderr."""

    def __init__(self):
        try:
            self.master, self.slave = pty.openpty()
        except OSError as error:
            raise unittest.SkipTest(f"no pseudo-terminal can be had here: {error}") from error
        self.text = ""

    def until(self, words, seconds=peer.PATIENCE_S):
        """Returns: whether the words were shown in time."""
        end = time.monotonic() + seconds
        while words not in self.text and time.monotonic() < end:
            if select.select([self.master], [], [], 0.1)[0]:
                self.text += os.read(self.master, 65536).decode(errors="replace")
        return words in self.text

    def close(self):
        os.close(self.master)
        os.close(self.slave)


def children(pid):
    with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
        return [int(word) for word in file.read().split()]


def is_gone(pid):
    """Ended, if perhaps not yet waited for by whoever has inherited it."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as file:
            return file.read().rsplit(")", 1)[1].split()[0] in "ZX"
    except OSError:
        return True
