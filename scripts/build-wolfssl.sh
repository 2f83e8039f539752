#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# scripts/build-wolfssl.sh [OPTION]...
#
# Builds wolfSSL for cmdstream_tls from the source package of your distribution: handshakes take a half
# to a fifth of the time, and a connection a tenth of the memory, of what the distribution's own build
# takes. A configure step that comes after it finds it. About a minute.
#
#   --prefix FOLDER   where it is installed (build/wolfssl): a folder that it makes, and replaces
#   --source FOLDER   an unpacked source of wolfSSL 5.5 or later; nothing is fetched
#   --jobs N          how many compilers at a time (the number of CPUs)
#   --force           also where the same is installed already
#
# apt fetches the source and checks its signature, with lists and settings of its own: nothing of the
# system's changes, and no privilege is needed. The library is static and position-independent: no other
# part of a process meets it. Before it is installed it gives known answers for each algorithm, and
# makes handshakes with openssl in both directions (tests/wolfssl/prove.c).
#
# Exit status: 0 it is there; 1 it went wrong; 2 a bad option; 77 this machine cannot get the source.
set -euo pipefail
cd "$(dirname "$0")/.."

usage() {
    sed -n '/^# scripts/,/^# Exit/s/^# \{0,1\}//p' "$0"
}

fail() {
    echo "build-wolfssl: $*" >&2
    exit 1
}

build=${CMDSTREAM_BUILD_DIR:-build}
prefix=$build/wolfssl source='' jobs=$(nproc) force=false
while [ $# -gt 0 ]; do
    case $1 in
        --help) usage && exit 0 ;;
        --force) force=true ;;
        --prefix | --source | --jobs)
            [ -n "${2:-}" ] || { echo "build-wolfssl: $1 wants a value" >&2; exit 2; }
            printf -v "${1#--}" %s "$2"
            shift
            ;;
        *) echo "build-wolfssl: no option $1; --help has them" >&2; exit 2 ;;
    esac
    shift
done
[[ $jobs =~ ^[1-9][0-9]*$ ]] || { echo "build-wolfssl: --jobs is a number, not \"$jobs\"" >&2; exit 2; }
prefix=$(realpath -m "$prefix")
if [ -e "$prefix" ] && [ ! -e "$prefix/cmdstream-build" ]; then
    fail "$prefix is there, and not of this script's making: the folder is its own as a whole"
fi
compiler=${CC:-cc}

# What cmdstream_tls needs of wolfSSL, and no more: each further part costs memory in every connection.
configure=(
    --disable-examples --disable-crypttests --enable-static --disable-shared --with-pic
    --enable-sp --enable-sp-asm --disable-oldtls --enable-session-ticket --enable-alpn --enable-sni
    --enable-crl --enable-curve25519 --enable-ed25519 --enable-sys-ca-certs --enable-cryptocb
    --enable-enckeys
)
case $(uname -m) in
    x86_64) configure+=(--enable-intelasm) ;;
esac
cflags="-O2 -g -fstack-protector-strong -D_FORTIFY_SOURCE=2"
cflags+=" -DKEEP_PEER_CERT -DWOLFSSL_ALT_NAMES -DWOLFSSL_EXTRA_ALERTS"
# Each certificate of a chain is shown to us; one above the CA that we trust may be of an unknown CA.
cflags+=" -DWOLFSSL_ALWAYS_VERIFY_CB -DWOLFSSL_VERIFY_CB_ALL_CERTS -DWOLFSSL_ALT_CERT_CHAINS"

for command in "$compiler" make autoconf automake libtoolize openssl; do
    command -v "${command%% *}" >/dev/null || fail "$command is missing: scripts/setup --full"
done

mkdir -p "$(dirname "$prefix")"
work=$(mktemp -d "$prefix.XXXXXX")
running=()
clean_up() {
    [ ${#running[@]} -eq 0 ] || kill "${running[@]}" 2>/dev/null || true
    rm -rf "$work"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# run NAME COMMAND...: its output is shown if it fails.
run() {
    local name=$1 start=$SECONDS
    shift
    printf 'build-wolfssl: %-10s' "$name"
    if ! "$@" >"$work/$name.log" 2>&1 </dev/null; then
        echo "FAILED"
        tail -n 30 "$work/$name.log" | sed 's/^/    /' >&2
        return 1
    fi
    echo "$((SECONDS - start)) s"
}

# ---- The source -------------------------------------------------------------------------------
# In the prefix, so that the same is not built again; behind it, which wolfSSL it is.
stamp="$compiler $(uname -m)
${configure[*]}
$cflags
$(sha256sum "$0" | cut -c 1-64)"

cannot() {
    if ! $force && [ "$(head -n -1 "$prefix/cmdstream-build" 2>/dev/null)" = "$stamp" ]; then
        echo "build-wolfssl: $(tail -n 1 "$prefix/cmdstream-build") is in $prefix, and may be old: $*"
        exit 0
    fi
    echo "build-wolfssl: NOT BUILT: $*" >&2
    exit 77
}

# deb-src for what the system's apt has of its own distribution. Somebody else's archive is left out.
list_sources() {
    local codename id key signed=''
    codename=$(sed -n 's/^VERSION_CODENAME=//p' /etc/os-release)
    id=$(sed -n 's/^ID=//p' /etc/os-release)
    for key in /usr/share/keyrings/"$id"-archive-keyring.{pgp,gpg}; do
        [ ! -e "$key" ] || signed="[signed-by=$key]"
    done
    # shellcheck disable=SC2016 # apt's names.
    apt-get indextargets --format '$(RELEASE) $(COMPONENT) $(REPO_URI)' 'Created-By: Packages' |
        sort -u | while read -r release component uri; do
        case $release/$component in
            "$codename"/main | "$codename"-*/main | "$codename"/universe | "$codename"-*/universe)
                echo "deb-src $signed $uri $release $component"
                ;;
        esac
    done
}

private_apt() {
    apt-get -o Dir::Etc::sourcelist="$work/apt/sources.list" -o Dir::Etc::sourceparts=/dev/null \
        -o Dir::State="$work/apt/state" -o Dir::Cache="$work/apt/cache" -o APT::Sandbox::User=root \
        -o APT::Get::AllowUnauthenticated=false -o Acquire::AllowInsecureRepositories=false \
        -o Acquire::Retries=2 -o APT::Update::Error-Mode=any "$@"
}

# The version that private_apt knows.
source_version() {
    private_apt --print-uris source wolfssl 2>"$work/uris.log" |
        sed -n "s/^'[^']*' \(wolfssl_[^ ]*\)\.dsc .*/\1/p" | sed 's/^wolfssl_//'
}

fetch_lists() {
    local command
    for command in apt-get dpkg-source; do
        command -v "$command" >/dev/null || cannot "$command is missing; give it --source"
    done
    mkdir -p "$work/apt/state/lists/partial" "$work/apt/cache/archives/partial"
    list_sources >"$work/apt/sources.list"
    [ -s "$work/apt/sources.list" ] || cannot "apt knows no archive of this distribution; give it --source"
    run lists private_apt update || cannot "there are no signed lists of sources; give it --source"
}

fetch_source() { # Into $work/source. apt has the checksums from what is signed.
    (cd "$work" && private_apt --download-only source wolfssl && dpkg-source --no-check -x ./*.dsc source)
}

if [ -n "$source" ]; then
    [ -f "$source/configure.ac" ] || fail "$source is no source of wolfSSL: it has no configure.ac"
    version="of $(realpath "$source")"
else
    fetch_lists
    version=$(source_version)
    [ -n "$version" ] || cannot "the archive has no source package wolfssl"
fi

stamp+=$'\n'"wolfSSL $version"
if ! $force && [ -z "$source" ] && [ "$(cat "$prefix/cmdstream-build" 2>/dev/null)" = "$stamp" ]; then
    echo "build-wolfssl: wolfSSL $version is in $prefix already"
    exit 0
fi
if [ -n "$source" ]; then
    run copy cp -r "$source" "$work/source"
else
    run source fetch_source
fi

# ---- The build --------------------------------------------------------------------------------
make_ready() (
    cd "$work/source" && autoreconf --force --install &&
        ./configure --prefix="$prefix" "${configure[@]}" \
            CC="${CMAKE_C_COMPILER_LAUNCHER:+$CMAKE_C_COMPILER_LAUNCHER }$compiler" CFLAGS="$cflags"
)

# --enable-distro, which some packagers patch in, keeps options.h back; without it a program would be
# compiled for the wolfSSL of the system. The licence goes where the library goes.
install_aside() {
    make -C "$work/source" install DESTDIR="$work/installed" &&
        cp "$work/source/wolfssl/options.h" "$new/include/wolfssl/options.h" &&
        cp "$work/source/COPYING" "$new/share/doc/wolfssl/COPYING"
}

new=$work/installed$prefix
run configure make_ready
run make make -C "$work/source" -j "$jobs"
run install install_aside

# ---- Is it right? -----------------------------------------------------------------------------
certs=$work/certs

wait_for() { # PATTERN FILE: what the pattern's group matches, once it is there.
    local found i
    for ((i = 0; i < 200; i++)); do
        found=$(sed -n "s/$1/\1/p" "$2" | head -n 1)
        [ -z "$found" ] || { echo "$found"; return; }
        sleep 0.05
    done
    return 1
}

# NAME is the server's certificate, CA who signed it; the client's is of ca.
openssl_to_us() { # NAME CA
    local port server
    "$work/prove" server "$certs/$1.pem" "$certs/$1.key" "$certs/ca.pem" >"$work/port" &
    server=$!
    running=("$server")
    port=$(wait_for '^\([0-9]*\)$' "$work/port") || return 1
    # Its input stays open until the echo is there.
    { echo "from openssl"; sleep 0.5; } | openssl s_client -connect "127.0.0.1:$port" -tls1_3 -quiet \
        -CAfile "$certs/$2.pem" -verify_return_error -cert "$certs/client.pem" \
        -key "$certs/client.key" >"$work/echo"
    wait "$server" && running=() && grep -q "from openssl" "$work/echo"
}

us_to_openssl() { # NAME CA
    local port server
    openssl s_server -accept 127.0.0.1:0 -naccept 1 -rev -tls1_3 -Verify 2 -verify_return_error \
        -CAfile "$certs/ca.pem" -cert "$certs/$1.pem" -key "$certs/$1.key" </dev/null >"$work/heard" 2>&1 &
    server=$!
    running=("$server")
    port=$(wait_for '^ACCEPT .*:\([0-9]*\)$' "$work/heard") || return 1
    "$work/prove" client "$port" "$certs/$2.pem" "$certs/client.pem" "$certs/client.key" &&
        wait "$server" && running=()
}

prove() {
    # shellcheck disable=SC2086 # A compiler may come with options.
    $compiler -O1 -std=gnu11 -I "$new/include" tests/wolfssl/prove.c "$new/lib/libwolfssl.a" -lm \
        -o "$work/prove" &&
        "$work/prove" answers && scripts/make-certs.sh "$certs" &&
        openssl_to_us server ca && us_to_openssl server ca &&
        openssl_to_us rsa_2048 ca_rsa && us_to_openssl rsa_2048 ca_rsa
}
run proof prove || fail "this build is wrong, and was not installed"

printf '%s\n' "$stamp" >"$new/cmdstream-build"
rm -rf "$prefix"
mv "$new" "$prefix"
echo "build-wolfssl: wolfSSL $version is in $prefix: configure anew"
