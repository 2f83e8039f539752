/* SPDX-License-Identifier: MIT */
#include "support/usdt.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    USDT_NOTE_TYPE = 3,
};

struct image {
    const uint8_t *data;
    size_t size;
};

static const void *image_at(const struct image *image, uint64_t offset, uint64_t size)
{
    return offset <= image->size && size <= image->size - offset ? image->data + offset : NULL;
}

/* Of an address in memory. 0: it is in no part that is loaded. */
static uint64_t image_offset(const struct image *image, uint64_t address)
{
    const Elf64_Ehdr *head = image_at(image, 0, sizeof(*head));
    const Elf64_Phdr *parts = image_at(image, head->e_phoff, head->e_phnum * sizeof(Elf64_Phdr));
    for (uint32_t i = 0; parts != NULL && i < head->e_phnum; i++) {
        if (parts[i].p_type == PT_LOAD && address >= parts[i].p_vaddr &&
                address - parts[i].p_vaddr < parts[i].p_filesz) {
            return address - parts[i].p_vaddr + parts[i].p_offset;
        }
    }
    return 0;
}

/* pc, base, semaphore; then three texts that end with a zero. */
static void usdt_take(
        const struct image *image, const uint8_t *body, size_t size, struct usdt *usdt)
{
    uint64_t numbers[3] = {0};
    char *texts[] = {usdt->provider, usdt->name, usdt->arguments};
    memcpy(numbers, body, size < sizeof(numbers) ? size : sizeof(numbers));
    usdt->offset = image_offset(image, numbers[0]);
    usdt->semaphore = numbers[2];
    const char *at = (const char *)body + sizeof(numbers);
    const char *end = (const char *)body + size;
    for (uint32_t i = 0; i < 3; i++) {
        size_t length = at < end ? strnlen(at, (size_t)(end - at)) : 0;
        (void)snprintf(texts[i], USDT_TEXT_MAX, "%.*s", (int)length, at < end ? at : "");
        at += length + 1;
    }
}

static uint32_t usdt_take_notes(
        const struct image *image, const Elf64_Shdr *section, struct usdt *found, uint32_t room)
{
    const uint8_t *at = image_at(image, section->sh_offset, section->sh_size);
    const uint8_t *end = at != NULL ? at + section->sh_size : NULL;
    uint32_t count = 0;
    while (at != NULL && (size_t)(end - at) > sizeof(Elf64_Nhdr) && count < room) {
        const Elf64_Nhdr *note = (const void *)at;
        const uint8_t *name = at + sizeof(*note);
        const uint8_t *body = name + ((note->n_namesz + 3) & ~3u);
        if (note->n_type == USDT_NOTE_TYPE && strcmp((const char *)name, "stapsdt") == 0) {
            usdt_take(image, body, note->n_descsz, &found[count++]);
        }
        at = body + ((note->n_descsz + 3) & ~3u);
    }
    return count;
}

static int usdt_take_sections(const struct image *image, struct usdt found[USDT_MAX])
{
    const Elf64_Ehdr *head = image_at(image, 0, sizeof(*head));
    if (head == NULL || memcmp(head->e_ident, ELFMAG, SELFMAG) != 0) {
        return -ENOEXEC;
    }
    const Elf64_Shdr *sections = image_at(image, head->e_shoff, head->e_shnum * sizeof(Elf64_Shdr));
    uint32_t count = 0;
    for (uint32_t i = 0; sections != NULL && i < head->e_shnum; i++) {
        if (sections[i].sh_type == SHT_NOTE) {
            count += usdt_take_notes(image, &sections[i], found + count, USDT_MAX - count);
        }
    }
    return (int)count;
}

int usdt_read(const char *path, struct usdt found[USDT_MAX])
{
    struct stat status;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &status) < 0) {
        return -errno;
    }
    void *data = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    (void)close(fd);
    if (data == MAP_FAILED) {
        return -errno;
    }
    const struct image image = {data, (size_t)status.st_size};
    int count = usdt_take_sections(&image, found);
    (void)munmap(data, image.size);
    return count;
}
