/* SPDX-License-Identifier: MIT */
/* A list under a lock; the counts are for waiting. */
#include "support/answers.h"

#include <stdlib.h>

#include "support/world.h"

struct answers *answers_new(void)
{
    struct answers *answers = calloc(1, sizeof(*answers));
    if (answers == NULL) {
        abort();
    }
    (void)pthread_mutex_init(&answers->lock, NULL);
    return answers;
}

void answers_free(struct answers *answers)
{
    (void)pthread_mutex_destroy(&answers->lock);
    free(answers);
}

void answers_take(void *context, const struct cmds_result *result)
{
    struct answers *answers = context;
    const struct echoed *echoed = echoed_of(result);
    const struct item *item = item_of(result);
    pthread_mutex_lock(&answers->lock);
    if (answers->stored < ANSWERS_MAX) {
        struct answer *answer = &answers->list[answers->stored++];
        answer->error = result->error;
        answer->last = result->last;
        answer->client = result->client;
        answer->sequence = result->sequence;
        answer->number = echoed != NULL ? echoed->int64 : item != NULL ? item->index : INT64_MIN;
        (void)snprintf(answer->text, sizeof(answer->text), "%s", result->text);
    }
    pthread_mutex_unlock(&answers->lock);
    atomic_fetch_add(&answers->good_count, result->error == 0);
    atomic_fetch_add(&answers->count, 1);
    atomic_fetch_add(&answers->last_count, result->last);
}

struct answer answers_at(struct answers *answers, uint32_t index)
{
    struct answer answer = {0};
    pthread_mutex_lock(&answers->lock);
    if (index < answers->stored) {
        answer = answers->list[index];
    }
    pthread_mutex_unlock(&answers->lock);
    return answer;
}

uint32_t answers_with(struct answers *answers, int32_t error)
{
    uint32_t count = 0;
    pthread_mutex_lock(&answers->lock);
    for (uint32_t i = 0; i < answers->stored; i++) {
        count += answers->list[i].error == error;
    }
    pthread_mutex_unlock(&answers->lock);
    return count;
}
