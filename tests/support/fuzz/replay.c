/* SPDX-License-Identifier: MIT */
/*
 * Runs a fuzz target over the files of its corpus, so that every input that ever broke something is
 * an ordinary test with any compiler. The arguments are files or folders; a folder that is missing
 * has no inputs. The empty input always runs.
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
    INPUT_SIZE_MAX = 1 << 20
};

static void replay_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    uint8_t *buffer = malloc(INPUT_SIZE_MAX);
    if (file == NULL || buffer == NULL) {
        fprintf(stderr, "cannot read %s\n", path);
        exit(1);
    }
    size_t size = fread(buffer, 1, INPUT_SIZE_MAX, file);
    (void)fclose(file);
    /* An allocation of exactly the input's size: a read behind its end is seen by the sanitizer. */
    uint8_t *exact = malloc(size > 0 ? size : 1);
    if (exact == NULL) {
        abort();
    }
    memcpy(exact, buffer, size);
    free(buffer);
    printf("%s: %zu bytes\n", path, size);
    (void)fflush(stdout);
    (void)LLVMFuzzerTestOneInput(exact, size);
    free(exact);
}

static int replay_path(const char *path)
{
    struct stat status;
    if (stat(path, &status) != 0) {
        return 0;
    }
    if (!S_ISDIR(status.st_mode)) {
        replay_file(path);
        return 1;
    }
    DIR *directory = opendir(path);
    int count = 0;
    for (struct dirent *entry; directory != NULL && (entry = readdir(directory)) != NULL;) {
        char name[4096];
        int length = snprintf(name, sizeof(name), "%s/%s", path, entry->d_name);
        if (entry->d_name[0] != '.' && length > 0 && (size_t)length < sizeof(name)) {
            replay_file(name);
            count++;
        }
    }
    if (directory != NULL) {
        (void)closedir(directory);
    }
    return count;
}

int main(int argc, char **argv)
{
    static const uint8_t nothing[1] = {0};
    (void)LLVMFuzzerTestOneInput(nothing, 0);
    int count = 1;
    for (int i = 1; i < argc; i++) {
        count += replay_path(argv[i]);
    }
    printf("%d inputs\n", count);
    return 0;
}
