#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# Makes certificates for tests, right ones and wrong ones of every kind that a peer may come with:
#
#   scripts/make-certs.sh FOLDER              NAME.pem, NAME.key, NAME.der of each, and lists: NAME.crl
#   scripts/make-certs.sh FOLDER --vectors    the same without chains of CAs, and what
#                                             tests/support/tls_vectors.h holds, to the standard output
#
# Where CMDSTREAM_CERTS names a folder that has them already, they are copied from there: a build makes
# them once, and each of its tests has its own.
#
# Nothing here guards anything: whoever has this script has the keys. Dates are fixed, so that what is
# right today is right in 2048. Needs the program `openssl`, 3.0 or later.
set -euo pipefail

folder=${1:-} vectors=${2:-}
if [ -z "$folder" ] || { [ -n "$vectors" ] && [ "$vectors" != --vectors ]; }; then
    echo "usage: scripts/make-certs.sh FOLDER [--vectors]" >&2
    exit 2
fi
command -v openssl >/dev/null || { echo "make-certs: openssl is missing: scripts/setup" >&2; exit 1; }
mkdir -p "$folder"
made=${CMDSTREAM_CERTS:-}
if [ -z "$vectors" ] && [ -n "$made" ] && [ -e "$made/both.crl" ]; then # The last that is made.
    cp -p "$made"/*.{pem,key,der,crl} "$folder"
    exit 0
fi
cd "$folder"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

cat >"$work/openssl.cnf" <<CONF
[req]
distinguished_name = any
string_mask = utf8only
[any]
[ca]
default_ca = one
[one]
database = $work/index
new_certs_dir = $work
unique_subject = no
rand_serial = yes
default_crl_days = 36500
default_md = sha256
policy = policy
[policy]
commonName = optional
CONF
: >"$work/index"

start=20240101000000Z end=20481231235959Z # UTCTime; "future" and "ca" have the other form too.
names=()

# issue NAME ISSUER KEY SUBJECT EXTENSIONS [OPTION...]: ISSUER is a name made before, or "self". The
# options are those of `openssl ca`, and win over the ones before them. KEY may be "of:NAME".
issue() {
    local name=$1 issuer=$2 key=$3 subject=$4 extensions=$5
    shift 5
    case $key in
        rsa:*) openssl genpkey -quiet -algorithm RSA -pkeyopt "rsa_keygen_bits:${key#rsa:}" ;;
        of:*) cat "${key#of:}.key" ;;
        ec:*) openssl genpkey -quiet -algorithm EC -pkeyopt "ec_paramgen_curve:${key#ec:}" ;;
        *) openssl genpkey -quiet -algorithm "$key" ;;
    esac >"$name.key" 2>"$work/log" || { cat "$work/log" >&2; exit 1; }
    chmod 600 "$name.key"
    openssl req -new -utf8 -config "$work/openssl.cnf" -key "$name.key" -subj "$subject" \
        -out "$work/request"
    printf '%b\n' "$extensions" >"$work/extensions"
    local -a by=(-cert "$issuer.pem" -keyfile "$issuer.key")
    [ "$issuer" != self ] || by=(-selfsign -keyfile "$name.key")
    openssl ca -batch -notext -config "$work/openssl.cnf" -preserveDN "${by[@]}" \
        -extfile "$work/extensions" -in "$work/request" -out "$name.pem" \
        -startdate "$start" -enddate "$end" "$@" 2>"$work/log" || { cat "$work/log" >&2; exit 1; }
    openssl x509 -in "$name.pem" -outform DER -out "$name.der"
    names+=("$name")
}

# chain NAME LEAF CA...: what a peer shows that sends the CAs too. A chain has no .der.
chain() {
    local name=$1 leaf=$2
    shift 2
    cp -p "$leaf.key" "$name.key"
    cat "$leaf.pem" "${@/%/.pem}" >"$name.pem"
}

usage='basicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature'
server="$usage\nextendedKeyUsage=serverAuth"
both="$server,clientAuth"
authority='basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign'
san='subjectAltName=DNS:a.example'
p256=ec:P-256

# ---- Who signs
issue ca self $p256 '/O=Example/CN=Test CA' "$authority" -enddate 20991231235959Z
issue ca_rsa self rsa:2048 '/O=Example/CN=Test CA RSA' "$authority"
issue ca_other self $p256 '/O=Example/CN=Test CA' "$authority" # Of the same name, with another key.
issue not_ca ca $p256 '/O=Example/CN=No CA' "$both\n$san"

# ---- Right ones
issue server ca $p256 '/C=DE/O=Example, Ltd/OU=East/CN=s1' \
    "$both\nsubjectAltName=DNS:a.example,DNS:B.Example,IP:127.0.0.1,IP:::1,URI:spiffe://example/s1"
issue wildcard ca $p256 /CN=wildcard "$server\nsubjectAltName=DNS:*.example"
issue ip ca $p256 /CN=ip "$server\nsubjectAltName=IP:10.0.0.1,IP:2001:db8::1"
issue uri ca $p256 /CN=uri "$server\nsubjectAltName=URI:spiffe://example/uri"
issue client ca $p256 /CN=client "$usage\nextendedKeyUsage=clientAuth\nsubjectAltName=email:c@example"
issue plain ca $p256 / "$san" # No subject, no usage.
issue ed25519 ca ED25519 /CN=ed25519 "$server\n$san"
issue ed25519_self self ED25519 /CN=ed25519_self "$server\n$san" -md null
issue p384 ca ec:P-384 /CN=p384 "$server\n$san" -md sha384
issue rsa_2048 ca_rsa rsa:2048 /CN=rsa_2048 "$server\n$san"
issue pss ca_rsa $p256 /CN=pss "$server\n$san" \
    -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:digest
issue subject ca $p256 '/DC=example/UID=7/O=Müller+OU=\#1 "a", b;<c>=\\d /title=x/CN= s ' \
    "$server\n$san" -startdate 19491231000000Z

# ---- Wrong ones
issue expired ca $p256 /CN=expired "$both\n$san" -startdate 20200101000000Z -enddate 20201231235959Z
issue ca_expired self $p256 '/O=Example/CN=Test CA of old' "$authority" \
    -startdate 20200101000000Z -enddate 20201231235959Z
issue future ca $p256 /CN=future "$both\n$san" -startdate 20900101000000Z -enddate 20991231235959Z
issue other_ca ca_other $p256 /CN=other_ca "$both\n$san"
issue under_not_ca not_ca $p256 /CN=under_not_ca "$both\n$san"
issue cn_only ca $p256 /CN=a.example "$server"
# a.example, a NUL, .org, as a name of DNS.
issue nul ca $p256 /CN=nul \
    "$both\nsubjectAltName=DER:30:10:82:0e:61:2e:65:78:61:6d:70:6c:65:00:2e:6f:72:67"
issue control ca $p256 $'/CN=con\ntrol' "$both\n$san"
issue sha1 ca $p256 /CN=sha1 "$both\n$san" -md sha1
issue sha1_rsa ca_rsa $p256 /CN=sha1_rsa "$both\n$san" -md sha1
issue md5 ca_rsa $p256 /CN=md5 "$both\n$san" -md md5
issue pss_sha1 ca_rsa $p256 /CN=pss_sha1 "$both\n$san" \
    -md sha1 -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:digest
issue rsa_1024 ca rsa:1024 /CN=rsa_1024 "$both\n$san"
issue p224 ca ec:P-224 /CN=p224 "$both\n$san"
issue no_digital_signature ca $p256 /CN=no_digital_signature "$san\nkeyUsage=keyEncipherment"
issue other_usage ca $p256 /CN=other_usage "$usage\nextendedKeyUsage=codeSigning\n$san"
issue revoked ca $p256 /CN=revoked "$both\n$san"
openssl ca -config "$work/openssl.cnf" -cert ca.pem -keyfile ca.key -revoke revoked.pem 2>/dev/null
openssl ca -config "$work/openssl.cnf" -cert ca.pem -keyfile ca.key -gencrl -out ca.crl 2>/dev/null

# ---- Chains, right and wrong: all below `ca`
# weak NAME KEY EXTENSIONS [OPTION...]: CA sub_NAME, and chain_NAME: a leaf, and that CA.
weak() {
    local name=$1 key=$2 extensions=$3
    shift 3
    issue "sub_$name" ca "$key" "/CN=Sub CA $name" "$extensions" "$@"
    issue "under_$name" "sub_$name" $p256 "/CN=under_$name" "$both\n$san"
    chain "chain_$name" "under_$name" "sub_$name"
}

# crl NAME CA [OPTION...]
crl() {
    openssl ca -config "$work/openssl.cnf" -cert "$2.pem" -keyfile "$2.key" -gencrl -out "$1.crl" \
        "${@:3}" 2>/dev/null
}

make_chains() {
    issue sub ca $p256 '/CN=Sub CA' "$authority"
    issue sub_2 sub $p256 '/CN=Sub CA 2' "${authority/CA:TRUE/CA:TRUE,pathlen:0}"
    issue under_sub sub $p256 /CN=under_sub "$both\n$san"
    issue under_sub_2 sub_2 $p256 /CN=under_sub_2 "$both\n$san"
    chain chain_2 under_sub sub
    chain chain_3 under_sub_2 sub_2 sub
    chain chain_root under_sub sub ca
    chain chain_gap under_sub_2 sub
    chain chain_not_ca under_not_ca not_ca
    weak sha1 $p256 "$authority" -md sha1
    weak rsa_1024 rsa:1024 "$authority"
    weak rsa_2040 rsa:2040 "$authority"
    weak p224 ec:P-224 "$authority"
    weak expired $p256 "$authority" -startdate 20200101000000Z -enddate 20201231235959Z
    weak no_sign $p256 'basicConstraints=critical,CA:TRUE\nkeyUsage=critical,cRLSign'
    weak revoked $p256 "$authority"
    weak for_any $p256 "$authority\nextendedKeyUsage=anyExtendedKeyUsage"
    weak for_both $p256 "$authority\nextendedKeyUsage=codeSigning,clientAuth,serverAuth"
    weak for_server $p256 "$authority\nextendedKeyUsage=serverAuth"
    weak for_client $p256 "$authority\nextendedKeyUsage=clientAuth"
    weak for_other $p256 "$authority\nextendedKeyUsage=codeSigning"
    issue sub_low sub_for_other $p256 '/CN=Sub CA low' "$authority"
    issue under_low sub_low $p256 /CN=under_low "$both\n$san"
    chain chain_low under_low sub_low sub_for_other
    chain chain_beside under_sub sub sub_sha1 # Which it does not need.
    weak ip $p256 "$authority\nnameConstraints=critical,permitted;IP:10.0.0.0/255.0.0.0"
    issue under_ip_address sub_ip $p256 /CN=under_ip_address "$both\n$san,IP:127.0.0.1"
    issue under_ip_uri sub_ip $p256 /CN=under_ip_uri "$both\n$san,URI:spiffe://example/x"
    chain chain_ip_address under_ip_address sub_ip
    chain chain_ip_uri under_ip_uri sub_ip
    issue sub_deep sub_sha1 $p256 '/CN=Sub CA deep' "$authority"
    issue under_deep sub_deep $p256 /CN=under_deep "$both\n$san"
    chain chain_deep under_deep sub_deep sub_sha1
    issue sub_3 sub_2 $p256 '/CN=Sub CA 3' "$authority" # Which sub_2 may not have.
    issue under_sub_3 sub_3 $p256 /CN=under_sub_3 "$both\n$san"
    chain chain_path under_sub_3 sub_3 sub_2 sub
    # The same CA once more, as an older one has signed it: nothing of that counts for who trusts `ca`.
    issue ca_old self rsa:1024 '/O=Example/CN=Old CA' "$authority" -md sha1
    issue ca_cross ca_old of:ca '/O=Example/CN=Test CA' "$authority" -md sha1
    chain chain_cross under_sub sub ca_cross
    # A CA that is trusted as it is.
    issue ca_sha1 self $p256 '/O=Example/CN=Test CA of SHA-1' "$authority" -md sha1
    issue under_ca_sha1 ca_sha1 $p256 /CN=under_ca_sha1 "$both\n$san"
    chain chain_ca_sha1 under_ca_sha1 ca_sha1

    openssl ca -config "$work/openssl.cnf" -cert ca.pem -keyfile ca.key -revoke sub_revoked.pem 2>/dev/null
    crl ca_sub ca # The same as ca.crl, and sub_revoked.
    crl ca_old ca -crl_lastupdate 200101000000Z -crl_nextupdate 201231235959Z
    crl sub sub
    cat ca.pem sub.pem >ca_and_sub.pem
    cat ca_sub.crl sub.crl >both.crl
}

[ "$vectors" = --vectors ] || { make_chains; exit 0; }
cat <<'HEADER'
/* SPDX-License-Identifier: MIT */
/* Certificates as hex. Written once by scripts/make-certs.sh --vectors; their keys are gone. */
#ifndef CMDI_TESTS_SUPPORT_TLS_VECTORS_H
#define CMDI_TESTS_SUPPORT_TLS_VECTORS_H

static const struct tls_vector {
    const char *name, *hex;
} tls_vectors[] = {
HEADER
for name in "${names[@]}"; do
    printf '        {"%s",\n' "$name"
    od -An -v -tx1 "$name.der" | tr -d ' \n' | fold -w 80 | sed 's/.*/                "&"/; $!s/$//'
    printf '},\n'
done
printf '};\n\n#endif\n'
