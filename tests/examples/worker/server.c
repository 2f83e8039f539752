/* SPDX-License-Identifier: MIT */
/*
 * Work that blocks: SQLite in the worker pool. Each thread has a connection of its own, so that nobody
 * waits for a lock of ours, and the shards go on meanwhile.
 */
#include <errno.h>
#include <stdio.h>

#include <sqlite3.h>

#include "notes.h"

struct desk { // Of one thread.
    sqlite3 *db;
    sqlite3_stmt *add, *find;
};

static const char table[] = "PRAGMA synchronous = off;"
                            "CREATE TABLE IF NOT EXISTS notes (id INTEGER PRIMARY KEY, text TEXT)";
static const char insert[] = "INSERT INTO notes (text) VALUES (?)";
static const char look[] = "SELECT id, text FROM notes WHERE id > ? AND instr(text, ?) ORDER BY id";

static int desk_open(void *path, void **state, struct cmds_error *error)
{
    static struct desk desks[4]; // One for each thread of the pool.
    static _Atomic unsigned count;
    struct desk *desk = *state = &desks[count++];
    if (sqlite3_open(path, &desk->db) || sqlite3_busy_timeout(desk->db, 10000) ||
            sqlite3_exec(desk->db, table, NULL, NULL, NULL) ||
            sqlite3_prepare_v2(desk->db, insert, -1, &desk->add, NULL) ||
            sqlite3_prepare_v2(desk->db, look, -1, &desk->find, NULL)) {
        (void)snprintf(error->text, sizeof(error->text), "%s", sqlite3_errmsg(desk->db));
        return -EIO; // The program does not start, and says so.
    }
    return 0;
}

static void desk_close(void *path, void *state)
{
    struct desk *desk = state;
    (void)path;
    (void)(sqlite3_finalize(desk->add) + sqlite3_finalize(desk->find) + sqlite3_close(desk->db));
}

static void bind(sqlite3_stmt *statement, int place, struct cmds_string text)
{
    (void)sqlite3_bind_text(statement, place, text.data, (int)text.size, SQLITE_STATIC);
}

static int add(struct cmds_call *call, const struct notes_add *command)
{
    struct desk *desk = cmds_call_pool_state(call);
    bind(desk->add, 1, command->text);
    (void)sqlite3_step(desk->add); // The reset, which the next bind needs, says what became of it.
    if (sqlite3_reset(desk->add) != SQLITE_OK) {
        return -EIO;
    }
    struct notes_added added = {sqlite3_last_insert_rowid(desk->db)};
    return cmds_call_send(call, notes_added_message(&added));
}

/* As many rows as there is room for; then it is run again, perhaps on another thread, behind the last one. */
static int find(struct cmds_call *call, const struct notes_find *command)
{
    struct desk *desk = cmds_call_pool_state(call);
    struct notes_row row = {0};
    int64_t last = (intptr_t)cmds_call_context(call);
    int step = SQLITE_ROW, code = 0;
    (void)sqlite3_bind_int64(desk->find, 1, last);
    bind(desk->find, 2, command->words);
    while (code == 0 && (step = sqlite3_step(desk->find)) == SQLITE_ROW) {
        row.text.data = (const char *)sqlite3_column_text(desk->find, 1);
        row.text.size = (size_t)sqlite3_column_bytes(desk->find, 1);
        row.id = sqlite3_column_int64(desk->find, 0);
        code = cmds_call_send(call, notes_row_message(&row));
        last = code == 0 ? row.id : last;
    }
    (void)sqlite3_reset(desk->find);
    cmds_call_set_context(call, (void *)(intptr_t)last);
    if (code == 0) {
        code = step == SQLITE_DONE
                       ? cmds_call_send(call, notes_end_message(&(struct notes_end){last}))
                       : -EIO;
    }
    return code == -ENOBUFS ? CMDS_EXEC_AGAIN : code;
}

static const struct cmds_exec execs[] = {
        CMDS_EXEC_IN_POOL(notes_add, add), CMDS_EXEC_IN_POOL(notes_find, find)};

int main(int argc, char **argv)
{
    struct cmds_server_options options = CMDS_SERVER_OPTIONS_INIT(&notes, execs);
    struct cmds_runtime_options runtime = CMDS_RUNTIME_OPTIONS_INIT;
    struct cmds_main_options around = {.struct_size = sizeof(around), .runtime = &runtime};
    options.listen = argc > 1 ? argv[1] : "127.0.0.1:9000";
    options.output_size_max = 4096; // Small, to show what happens there.
    runtime.on_pool_thread_start = desk_open;
    runtime.on_pool_thread_stop = desk_close;
    static char path[] = "notes.db";
    runtime.pool_context = path;
    return cmds_server_run(&options, &around);
}
