/* SPDX-License-Identifier: MIT */
/* Metrics of your own beside the library's: counted on any thread, read by whoever scrapes. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmdstream/cmdstream.h>

static uint32_t orders, open_orders, packing;

static int define(struct cmds_runtime *runtime)
{
    struct cmds_metric_options options = CMDS_METRIC_OPTIONS_INIT;
    options.name = "shop.orders"; // A counter, as nothing else is said.
    options.unit = "{order}";
    options.description = "Orders that came in.";
    int code = cmds_metric_define(runtime, &options, &orders);

    options.kind = CMDS_METRIC_GAUGE;
    options.name = "shop.orders.open";
    options.description = "Orders that are not packed.";
    code = code < 0 ? code : cmds_metric_define(runtime, &options, &open_orders);

    options.kind = CMDS_METRIC_HISTOGRAM;
    options.name = "shop.packing.duration";
    options.unit = "s"; // Given in nanoseconds.
    options.description = "How long it took to pack an order.";
    return code < 0 ? code : cmds_metric_define(runtime, &options, &packing);
}

/* In a server this stands in an exec function, where counting is a plain addition. */
static void order_came(struct cmds_runtime *runtime)
{
    cmds_metric_add(runtime, orders, 1);
    cmds_metric_add(runtime, open_orders, 1);
}

static void order_was_packed(struct cmds_runtime *runtime, uint64_t ns)
{
    cmds_metric_add(runtime, open_orders, -1);
    cmds_metric_record(runtime, packing, ns);
}

/* What a scrape finds, of the shop alone and without buckets. cmdstream_admin serves all of it over HTTP. */
static int print(const struct cmds_runtime *runtime)
{
    enum {
        SIZE = 256 * 1024
    };
    char *text = malloc(SIZE);
    if (text == NULL) {
        return -1;
    }
    int64_t size = cmds_telemetry_write(runtime, CMDS_FORMAT_PROMETHEUS, 0, text, SIZE);
    for (char *line = strtok(text, "\n"); line != NULL; line = strtok(NULL, "\n")) {
        if (strncmp(line, "shop_", 5) == 0 && strstr(line, "_bucket{") == NULL) {
            puts(line);
        }
    }
    free(text);
    return size < SIZE ? 0 : -1;
}

int main(void)
{
    struct cmds_runtime_options options = CMDS_RUNTIME_OPTIONS_INIT;
    struct cmds_runtime *runtime = NULL;
    options.shard_count = 1;
    if (cmds_runtime_start(&runtime, &options, NULL) < 0) {
        return 1;
    }
    int code = define(runtime);
    for (int i = 0; i < 3; i++) {
        order_came(runtime);
    }
    order_was_packed(runtime, 40 * 1000 * 1000);
    order_was_packed(runtime, 900 * 1000 * 1000);
    code = code < 0 ? code : print(runtime);
    cmds_runtime_stop(runtime);
    return code < 0;
}
