# SPDX-License-Identifier: MIT
"""What the objects of a build say: which file uses a symbol of which. An include says what a file may
see; only this says what it takes, however many headers lie between.

The tables here are the plan of the house: ARROWS and what is an exception from them.
"""
import pathlib
import re
import subprocess

# Folder of src/ -> folders that it may use, besides itself, include/cmdstream/ and libc. No circle.
ARROWS = {
    "base": "",
    "machine": "base",
    "wire": "base",
    "codec": "base",
    "ring": "base machine",
    "shard": "base machine ring",
    "net": "base ring shard",
    "conn": "base wire ring shard",
    "telemetry": "base machine shard codec common",  # Of codecs/common: UTF-8.
    "server": "base wire ring shard net conn codec telemetry common",  # Of codecs/common: UTF-8.
    "client": "base shard net conn codec telemetry",
    "group": "base machine ring shard net client codec telemetry",
    "test": "base wire shard conn server client group codec",
    "chaos": "base ring shard net",  # Beside the library: the proxy of the tool and of tests.
    "sim": "base ring",  # Another library's half: what src/ring defines, without the kernel.
    "otel": "base",  # A library of its own, on public headers: of base errors, options, assertions.
    "tls": "base common conn",  # A library of its own. Of codecs/common: UTF-8; of conn: security.h.
    "admin": "",  # A library of its own, on public headers only.
    "tool": "",  # Public headers only: what it needs, every user has.
}
# They take public functions of the core, and whatever they want of libc.
OUTSIDE = ("tool", "admin", "otel")
CODEC_ARROWS = "base codec common"  # codecs/<name>/.
# (folder or file, header or symbol) beside the arrows, and why.
SEAMS = {
    ("src/group/courier.h", "server/call_observer.h"): "a forwarded command learns that its call is over",
    ("src/group/courier.c", "server/call_observer.h"): "a forwarded command learns that its call is over",
    ("src/group/forward.c", "server/call_observer.h"): "a forwarded command learns that its call is over",
    ("src/group/courier.c", "server/call.h"): "results come home to the call that they are for",
    ("src/group/forward.c", "server/call.h"): "a forwarded command answers the call it was made for",
    ("src/group/fail.c", "server/call_fail.h"): "a call fails as the command that was sent for it",
    ("src/group/forward.c", "cmds_call_trace"): "a forwarded command goes on in the trace of its call",
    ("src/client/pause.c", "cmdi_thread_owned"): "cmdi_shard_current() is inline",
    ("src/server/connection.c", "cmdi_fork_count"): "cmdi_runtime_is_parents() is inline",
    ("src/group/straight.c", "cmdi_conn_open_fill"): "cmdi_client_send_straight() is inline",
    ("src/group/straight.c", "cmdi_conn_close_fill"): "the same",
    ("src/group/straight.c", "cmdi_conn_flush_now"): "the same",
    ("src/tool/bench", "base/histogram.h"): "plain values: bench measures by the buckets of the library",
    ("src/tool/chaos.c", "chaos/chaos.h"): "no part of the library: the proxy is for the tool",
    ("src/tool/chaos_options.c", "chaos/chaos.h"): "the same",
    ("src/tool/chaos.h", "chaos/chaos.h"): "the same",
    ("src/group", "cmds_codec_msgpack"): "the codec of who names none",
    ("src/server", "cmds_codec_msgpack"): "the codec of who names none",
}
# Header -> the only places outside its folder that may use it, wherever arrows lead.
NARROW = {
    "ring/ring.h": ("src/shard/", "src/conn/socket.c", "src/net/listener.c", "src/chaos/side.c"),
    "ring/socket.h": ("src/conn/socket.c", "src/net/listener.c", "src/chaos/",
                      "src/server/accept.c", "src/server/deputy.c", "src/server/server.c"),
    "ring/poller.h": ("src/server/deputy.c",),
    "ring/name.h": ("src/net/",),
    "machine/probe.h": ("src/ring/", "src/shard/runtime.c"),
}

# What the core may ask libc for: nothing that asks the kernel. A lock is memory; it asks only when two
# threads want it, and a simulation has one. The same goes for the memory of malloc.
LIBC = set(
    "abort calloc malloc realloc free aligned_alloc posix_memalign strdup "
    "memchr memcmp bcmp memcpy memmove memset memrchr qsort bsearch "
    "memmem explicit_bzero strcasecmp strchr strcmp strcspn strlen strncmp strnlen strrchr strspn strstr "
    "strtod strtof strtol strtoll strtoul strtoull snprintf vsnprintf "
    "strerror strerror_r strerrordesc_np strerrorname_np inet_ntop inet_pton "
    "pthread_mutex_init pthread_mutex_destroy pthread_mutex_lock pthread_mutex_trylock "
    "pthread_mutex_unlock pthread_once "
    # Of the compiler and of the headers' macros.
    "_GLOBAL_OFFSET_TABLE_ __stack_chk_fail __tls_get_addr __errno_location __ctype_b_loc".split()
)
LIBC_MATH = re.compile(r"(fabs|floor|ceil|trunc|round|lround|llround|rint|fmod|ldexp|frexp|scalbn|"
                       r"signbit|isnan|isinf|nextafter)[fl]?$|__\w+[sdt]i[234]$")
# File -> what it may ask for besides, and why.
LIBC_MORE = {
    "src/base/assert.c": "stderr fprintf vfprintf fputs fputc fwrite",  # Last words.
    "src/base/pool.c": "mmap munmap",  # Memory of another kind than malloc's, and no more.
    "src/tls/aes_gcm.c": "pthread_key_create pthread_getspecific pthread_setspecific",  # A thread's end.
    "src/tls/thread.c": "pthread_key_create pthread_setspecific pthread_once",  # The same.
    "codecs/json/run.c": "__cpu_model",  # Has it AVX2?
    "src/tls/crypto.c": "__cpu_model",
    "src/tls/layer.c": "malloc_trim",  # Of a library of its own; a simulation has no TLS. The next too.
    "src/tls/complaint.c": "gmtime_r strftime",  # Dates of certificates.
    "src/tls/handshake.c": "time",  # Has a certificate expired since?
    "src/tls/verify.c": "time",  # The same, of a CA of ours.
    "src/tls/trust.c": "time",  # Has a list of revoked certificates?
    "src/tls/files.c": "open read fstat close access secure_getenv",  # Before anything runs.
    "src/tls/tickets.c": "getrandom clock_gettime",  # At a handshake.
}
# Of <sys/sdt.h>, in each object with a probe: weak, hidden, and one in all.
SDT_BASE = "_.stapsdt.base"
# Of the seam, used by nobody yet.
TO_COME = {"cmdi_random": "the jitter of reconnects"}
# Prefix of a third party's symbols -> where they are used.
PARTIES = {"msgpack_": "codecs/msgpack/", "protobuf_c_": "codecs/protobuf/",
           "wolfSSL_": "src/tls/", "wolfTLS": "src/tls/", "wc_": "src/tls/", "gcry_": "src/tls/"}


def folder(name):
    """Of "src/conn/conn.c" conn; of a codec's file "codecs"."""
    parts = name.split("/")
    return parts[1] if parts[0] == "src" else parts[0]


def allowed(name):
    """Folders that this file may use, or None if its own is not in the table."""
    return CODEC_ARROWS.split() if name.startswith("codecs/") else \
        ARROWS[folder(name)].split() if folder(name) in ARROWS else None


def seam(name, *targets):
    """The key in SEAMS of this file, or of a folder above it, and one of these; None: there is none."""
    places = [name, *(folder.as_posix() for folder in pathlib.PurePath(name).parents)]
    return next(((place, target) for place in places for target in targets
                 if (place, target) in SEAMS), None)


def circles(graph):
    """Sets of nodes that lead to each other: strongly connected components of more than one node."""
    index, low, stack, found = {}, {}, [], []

    def visit(node):
        index[node] = low[node] = len(index)
        stack.append(node)
        for other in sorted(graph.get(node, ())):
            if other not in index:
                visit(other)
            if other in stack:
                low[node] = min(low[node], low[other])
        if low[node] == index[node]:
            circle = stack[stack.index(node):]
            del stack[stack.index(node):]
            if len(circle) > 1:
                found.append(sorted(circle))

    for node in sorted(graph):
        if node not in index:
            visit(node)
    return found


def arrow_circles(arrows, seams):
    """Of the plan itself, its exceptions included."""
    graph = {name: set(targets.split()) & set(arrows) for name, targets in arrows.items()}
    for place, target in seams:
        if "/" in target:
            graph.setdefault(folder(place + "/"), set()).add(target.split("/")[0])
    return circles(graph)


def upwards(name):
    """CMake writes the .. of a source beside its folder as __."""
    while (shorter := re.sub(r"[^/]+/__/", "", name, count=1)) != name:
        name = shorter
    return name


class Objects:
    """Of the libraries and of the tool. A build keeps what it made before a source or a target was
    renamed: of each source that is there, the newest object counts."""

    def __init__(self, root, build):
        self.undefined = {}  # File -> symbols.
        self.definer = {}  # Symbol -> file.
        self.doubles = []  # (symbol, file, other file).
        self.is_lto = False
        newest = {}
        for path in sorted(build.glob("**/CMakeFiles/*.dir/**/*.o"), key=lambda p: p.stat().st_mtime):
            target = next(p for p in path.parents if p.parent.name == "CMakeFiles")
            place = target.parent.parent.relative_to(build) / path.relative_to(target)
            name = place.with_suffix("").as_posix()
            if name.startswith("src/"):
                name = upwards(name)
            # src/sim defines what src/ring does, for a library of its own: its includes are looked at.
            if re.match(r"(src|codecs)/(?!sim/)", name) and (root / name).is_file():
                newest[name] = path
        for name, path in newest.items():
            self.read(name, path)

    def read(self, name, path):
        text = subprocess.run(["nm", "--extern-only", "--portability", str(path)],
                              check=True, capture_output=True, text=True).stdout
        self.undefined[name] = set()
        for line in text.splitlines():
            symbol, kind = line.split()[:2]
            if symbol.startswith("__gnu_lto_"):
                self.is_lto = True
            elif kind in "Uwv":
                self.undefined[name].add(symbol)
            else:
                if self.definer.setdefault(symbol, name) != name:
                    self.doubles.append((symbol, name, self.definer[symbol]))

    def uses(self):
        """(file, symbol, file that defines it) across files."""
        for name, symbols in sorted(self.undefined.items()):
            for symbol in sorted(symbols):
                definer = self.definer.get(symbol, name)
                if definer != name:
                    yield name, symbol, definer


def declarations(root, place):
    """Function or variable -> header, of the headers in src/<place>."""
    found = {}
    for path in sorted((root / "src" / place).glob("*.h")):
        text = re.sub(r"/\*.*?\*/|//[^\n]*", "", path.read_text(encoding="utf-8"), flags=re.S)
        for match in re.finditer(r"\b(cmd[is]_\w+)\s*[(;\[]", text):
            found.setdefault(match[1], path.relative_to(root / "src").as_posix())
    return found


def check_plan(root, report):
    """It draws no circle, and it and the list of sources are of folders that there are."""
    build = root / "CMakeLists.txt"
    if build.is_file():
        globbed = re.findall(r"\bsrc/([\w/]+)/\*\.c", build.read_text(encoding="utf-8"))
        for place in sorted(set(ARROWS) | set(globbed)):
            if not (root / "src" / place).is_dir():
                report("CMakeLists.txt" if place in globbed else "scripts/check_objects.py", 1,
                       f"there is no src/{place}")
    for circle in arrow_circles(ARROWS, SEAMS):
        report("scripts/check_objects.py", 1, f"the arrows lead in a circle: {' '.join(circle)}")


def check_doubles(objects, report):
    """Of two libraries in one program a linker takes one, and says nothing."""
    for symbol, name, other in objects.doubles:
        if symbol not in ("main", SDT_BASE):
            report(name, 0, f"{symbol}: {other} has a global name like that too")


def check_arrows(objects, narrow, report):
    """`narrow`: symbol -> its header in NARROW."""
    used = set()
    for name, symbol, definer in objects.uses():
        targets = allowed(name)
        party = folder(definer)
        same = party == folder(name)
        header = definer.removeprefix("src/").removesuffix(".c") + ".h"
        is_public = folder(name) in OUTSIDE and symbol.startswith("cmds_")
        if not same and not is_public and party not in (targets or ()):
            key = seam(name, symbol, header)
            used.add(key)
            if not key:
                may = " ".join(targets or ["public functions only"])
                report(name, 0, f"{symbol} of {definer}: {folder(name)} may use: {may}")
        header = narrow.get(symbol)
        if header and not same and not name.startswith(NARROW[header]):
            report(name, 0, f"{symbol}: {header} is for {' '.join(NARROW[header])} only")
    return used


def check_seams_are_needed(objects, used, report):
    for place, target in sorted(SEAMS):
        is_there = any(f"{name}/".startswith(f"{place}/") for name in objects.undefined)
        if is_there and (place, target) not in used:
            report("scripts/check_objects.py", 1, f"SEAMS: {place} does not use {target} any more")


def check_arrows_are_needed(root, objects, report):
    """Those that nothing takes, by symbol or by include, say less than is true."""
    needed = {(folder(name), folder(definer)) for name, _, definer in objects.uses()}
    for path in (root / "src").rglob("*.[ch]"):
        name = path.relative_to(root).as_posix()
        for target in re.findall(r'^#include "(\w+)/', path.read_text(encoding="utf-8"), re.M):
            needed.add((folder(name), target))
    for name, targets in ARROWS.items():
        for target in targets.split():
            if (name, target) not in needed:
                report("scripts/check_objects.py", 1, f"ARROWS: {name} does not use {target}")


def check_kernel(root, objects, report):
    """Core and codecs without the objects of src/ring and src/machine ask for nothing but libc."""
    seam = {**declarations(root, "ring"), **declarations(root, "machine")}
    for name, symbols in sorted(objects.undefined.items()):
        if folder(name) in ("ring", "machine", *OUTSIDE):
            continue
        for symbol in sorted(symbols):
            definer = objects.definer.get(symbol)
            if definer and folder(definer) not in ("ring", "machine"):
                continue
            if definer:
                if symbol not in seam:
                    report(name, 0, f"{symbol} of {definer}: no header of its folder declares it")
            elif not is_pure(name, symbol):
                report(name, 0, f"{symbol} asks the kernel or is not known: what the core wants of it"
                                " goes through src/ring (scripts/check_objects.py, LIBC)")


def is_pure(name, symbol):
    plain = re.sub(r"^__(?:isoc\d+_)?(\w+?)(?:_chk)?$", r"\1", symbol)  # Of _FORTIFY_SOURCE, of C2x.
    if symbol in LIBC or plain in LIBC or LIBC_MATH.match(symbol):
        return True
    if {symbol, plain} & set(LIBC_MORE.get(name, "").split()):
        return True
    return any(symbol.startswith(party) and name.startswith(place)
               for party, place in PARTIES.items())


def check_seam_is_used(root, objects, report):
    """What a simulation would have to write for nobody."""
    wanted = set().union(*objects.undefined.values()) | set(TO_COME)
    for symbol, header in sorted(declarations(root, "ring").items()):
        if folder(objects.definer.get(symbol, "src/base/x")) == "ring" and symbol not in wanted:
            report(f"src/{header}", 0, f"{symbol} is used in no other file")


def file_circles(objects):
    graph = {}
    for name, _, definer in objects.uses():
        graph.setdefault(name, set()).add(definer)
    return circles(graph)


def check_circles(found, old, report):
    """`old`: those that are there still. A new one, or one with another file in it, is refused."""
    for circle in found:
        if not any(set(circle) <= set(known) for known in old):
            report(circle[0], 0, f"a circle of files, each uses a symbol of the next: {' '.join(circle)}")


def check(root, build, old_circles, report, note):
    """All of it. Returns: the circles of files today, or None if nothing was there to be seen."""
    check_plan(root, report)
    if build is None:
        note("objects: not checked, no --build")
        return None
    objects = Objects(root, pathlib.Path(build).resolve())
    if objects.is_lto or not objects.undefined:
        note(f"objects: not checked, {'LTO' if objects.is_lto else 'none'} in {build}")
        return None
    narrow = {symbol: header for place in ("ring", "machine")
              for symbol, header in declarations(root, place).items() if header in NARROW}
    check_doubles(objects, report)
    used = check_arrows(objects, narrow, report)
    check_seams_are_needed(objects, used, report)
    if (root / "CMakeLists.txt").is_file():  # A whole tree.
        check_arrows_are_needed(root, objects, report)
    check_kernel(root, objects, report)
    check_seam_is_used(root, objects, report)
    found = file_circles(objects)
    check_circles(found, old_circles, report)
    return found
