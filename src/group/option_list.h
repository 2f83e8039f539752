/* SPDX-License-Identifier: MIT */
/*
 * A group's options, for whoever lists them.
 */
#ifndef CMDI_GROUP_OPTION_LIST_H
#define CMDI_GROUP_OPTION_LIST_H

#include "shard/runtime.h"

/** As cmdi_service.list_options. */
void cmdi_group_list_options(const struct cmdi_service *service, struct cmdi_option_list *list);

#endif
