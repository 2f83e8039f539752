/* SPDX-License-Identifier: MIT */
/* A stranger's program that uses every codec of the package that has a library of its own. */
#include <stdio.h>
#include <stdlib.h>

#include <cmdstream/cmdstream.h>
#ifdef STRANGER_json
#include <cmdstream/codec_json.h>
#endif
#ifdef STRANGER_protobuf
#include <cmdstream/codec_protobuf.h>
#endif
#ifdef STRANGER_mus
#include <cmdstream/codec_mus.h>
#endif

struct point {
    int64_t x, y;
};
CMDS_COMMAND(point, 0, x, y);

static const struct cmds_codec *const codecs[] = {
        &cmds_codec_msgpack,
#ifdef STRANGER_json
        &cmds_codec_json,
#endif
#ifdef STRANGER_protobuf
        &cmds_codec_protobuf,
#endif
#ifdef STRANGER_mus
        &cmds_codec_mus,
#endif
};

int main(void)
{
    for (size_t i = 0; i < sizeof(codecs) / sizeof(codecs[0]); i++) {
        struct point point = {-1, 300};
        unsigned char body[64];
        void *again = NULL;
        int64_t size = cmds_codec_encode(codecs[i], point_message(&point), body, sizeof(body));
        struct cmds_bytes in = {body, size > 0 ? (size_t)size : 0};
        if (size <= 0 || cmds_codec_decode(codecs[i], &point_type, in, &again) < 0 ||
                ((struct point *)again)->y != 300) {
            fprintf(stderr, "codec %s does not work\n", codecs[i]->name);
            return 1;
        }
        free(again);
    }
    return 0;
}
