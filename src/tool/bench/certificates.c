/* SPDX-License-Identifier: MIT */
/* See certificates.h. */
#include "bench/certificates.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/*
 * Valid from 2024 to 2099. The key is everybody's, and guards nothing; that of the CA was thrown away,
 * so that whoever trusts the CA trusts this one certificate, for 127.0.0.1.
 */
static const char certificates_ca[] =
        "-----BEGIN CERTIFICATE-----\n"
        "MIIBgjCCASmgAwIBAgIUBga5nC0zPdDfm9luGZJ/i6fXyoIwCgYIKoZIzj0EAwIw\n"
        "HTEbMBkGA1UEAwwSY21kc3RyZWFtIGJlbmNoIENBMCAXDTI0MDEwMTAwMDAwMFoY\n"
        "DzIwOTkxMjMxMjM1OTU5WjAdMRswGQYDVQQDDBJjbWRzdHJlYW0gYmVuY2ggQ0Ew\n"
        "WTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAARxlK0bc7qxZYiMGJAgbLp9x/oZXFmr\n"
        "W6ucKgowL0UiCZho+55s2luXP4fKOtWFRNezq9sy54dLUh+GdcGfERUao0UwQzAS\n"
        "BgNVHRMBAf8ECDAGAQH/AgEAMA4GA1UdDwEB/wQEAwICBDAdBgNVHQ4EFgQUbYoG\n"
        "iH6fgTd4pinrrj3qC8u+mN0wCgYIKoZIzj0EAwIDRwAwRAIgdH46/OgDcLK42O9c\n"
        "0PR/yBGjOwkQ4Z3iebdFh+YouoUCIGrQh7vPBHGqcABxDsGzekTL4XgL17zuEtV/\n"
        "NNCl97yr\n"
        "-----END CERTIFICATE-----\n";
static const char certificates_server[] =
        "-----BEGIN CERTIFICATE-----\n"
        "MIIBwzCCAWmgAwIBAgIUXkVVNP/X5vAeTh5xCxyq02Jz1+AwCgYIKoZIzj0EAwIw\n"
        "HTEbMBkGA1UEAwwSY21kc3RyZWFtIGJlbmNoIENBMCAXDTI0MDEwMTAwMDAwMFoY\n"
        "DzIwOTkxMjMxMjM1OTU5WjAaMRgwFgYDVQQDDA9jbWRzdHJlYW0gYmVuY2gwWTAT\n"
        "BgcqhkjOPQIBBggqhkjOPQMBBwNCAASGxENet6BeBjBEIPO487R57lDXWHOrtd8M\n"
        "JYd9L81DS+SV04VvzY0mCSfVVXC8USCwgnRmJB2NiESKL+lRLMhFo4GHMIGEMAwG\n"
        "A1UdEwEB/wQCMAAwDgYDVR0PAQH/BAQDAgeAMBMGA1UdJQQMMAoGCCsGAQUFBwMB\n"
        "MA8GA1UdEQQIMAaHBH8AAAEwHQYDVR0OBBYEFP6ipTwqTj/cvguVND6a1aMXH/pC\n"
        "MB8GA1UdIwQYMBaAFG2KBoh+n4E3eKYp66496gvLvpjdMAoGCCqGSM49BAMCA0gA\n"
        "MEUCIQDi87GWKAZJGCWvnOr2pilzn2HVMx9bC8rjS8pCjPc2xgIgeOgl/r0ABC1k\n"
        "N558rhBIPyMkzlwBAZlmXrlR4kscxZA=\n"
        "-----END CERTIFICATE-----\n";
static const char certificates_key[] =
        "-----BEGIN PRIVATE KEY-----\n"
        "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgekek4VsEZpS2oozU\n"
        "R/dT5RFIQWVjGQVcDBfdzZHcr96hRANCAASGxENet6BeBjBEIPO487R57lDXWHOr\n"
        "td8MJYd9L81DS+SV04VvzY0mCSfVVXC8USCwgnRmJB2NiESKL+lRLMhF\n"
        "-----END PRIVATE KEY-----\n";

static int certificates_file(struct bench_file *file, const char *text)
{
    file->fd = memfd_create("cmdstream-bench", 0);
    if (file->fd < 0) {
        return -errno;
    }
    // A key that others may read is refused.
    if (fchmod(file->fd, S_IRUSR) < 0) {
        return -errno;
    }
    size_t size = strlen(text);
    ssize_t written = write(file->fd, text, size);
    snprintf(file->path, sizeof(file->path), "/proc/self/fd/%d", file->fd);
    return written < 0 ? -errno : (size_t)written == size ? 0 : -EIO;
}

int bench_certificates_open(struct bench_certificates *certificates)
{
    int code = certificates_file(&certificates->ca, certificates_ca);
    code = code < 0 ? code : certificates_file(&certificates->certificate, certificates_server);
    code = code < 0 ? code : certificates_file(&certificates->key, certificates_key);
    if (code < 0) {
        bench_certificates_close(certificates);
    }
    return code;
}

void bench_certificates_close(struct bench_certificates *certificates)
{
    struct bench_file *files[] = {
            &certificates->ca, &certificates->certificate, &certificates->key};
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        if (files[i]->fd >= 0) {
            close(files[i]->fd);
        }
        files[i]->fd = -1;
    }
}
