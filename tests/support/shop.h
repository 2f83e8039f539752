/* SPDX-License-Identifier: MIT */
/*
 * One struct with every kind of field in every shape, for the tests of codecs and of the value
 * copy.
 *
 * shop_order_fill() makes a value in which no field is zero; shop_order_equal() compares what two
 * values mean, by the fields themselves and not by the schema that is under test.
 */
#ifndef CMDI_TESTS_SUPPORT_SHOP_H
#define CMDI_TESTS_SUPPORT_SHOP_H

#include <cmdstream/codec.h>

#include <string.h>

enum shop_state {
    SHOP_NEW,
    SHOP_PAID = 300,
    SHOP_LOST = -7
};

struct shop_address {
    struct cmds_string street;
    char country[3];
};
struct shop_item {
    uint64_t sku;
    int32_t quantity;
    double price;
};
struct shop_order {
    uint8_t id[16];
    char customer[32];
    struct cmds_string note;
    struct cmds_bytes invoice;
    struct shop_address address;
    CMDS_ARRAY_OF(struct shop_item) items;
    CMDS_ARRAY_OF(int64_t) coupons;
    CMDS_ARRAY_OF(struct cmds_string) tags;
    CMDS_ARRAY_OF(bool) flags;
    CMDS_OPTIONAL_OF(int64_t) limit;
    CMDS_OPTIONAL_OF(struct shop_address) billing;
    CMDS_OPTIONAL_OF(struct cmds_string) hint;
    struct cmds_map labels;
    enum shop_state state;
    long long big;
    size_t weight;
    float rate;
    int8_t i8;
    uint8_t u8;
    int16_t i16;
    uint16_t u16;
    uint32_t u32;
    double real;
    bool gift;
};
CMDS_SCHEMA(shop_address, street, country);
CMDS_SCHEMA(shop_item, sku, quantity, price);
CMDS_COMMAND(shop_order, 0, id, CMDS_AS(customer, "Customer"), CMDS_MAX(note, 1000), invoice,
        CMDS_NESTED(address, shop_address), CMDS_RESERVED, CMDS_ARRAY(items, shop_item),
        CMDS_ARRAY(coupons), CMDS_ARRAY(tags), CMDS_ARRAY(flags), CMDS_OPTIONAL(limit),
        CMDS_OPTIONAL(billing, shop_address), CMDS_OPTIONAL(hint), labels, state, big, weight, rate,
        i8, u8, i16, u16, u32, real, gift);

static inline void shop_order_fill(struct shop_order *order)
{
    static const struct shop_item items[] = {{1, -2, 3.5}, {UINT64_MAX, INT32_MIN, -0.25}};
    static const int64_t coupons[] = {0, -1, INT64_MAX, INT64_MIN, 127, 128, -32, -33};
    static const struct cmds_string tags[] = {
            CMDS_STRING("a"), CMDS_STRING(""), CMDS_STRING("with \0 in it")};
    static const bool flags[] = {true, false, true};
    static const struct cmds_pair labels[] = {
            {CMDS_STRING("k"), CMDS_STRING("v")}, {CMDS_STRING(""), CMDS_STRING("empty key")}};
    memset(order, 0, sizeof(*order));
    memcpy(order->id, "0123456789abcdef", 16);
    memcpy(order->customer, "Ada", 4);
    order->note = (struct cmds_string)CMDS_STRING("ring twice");
    order->invoice = (struct cmds_bytes){"\x00\xff\x80", 3};
    order->address = (struct shop_address){CMDS_STRING("Main St"), "DE"};
    order->items.items = items;
    order->items.count = 2;
    order->coupons.items = coupons;
    order->coupons.count = 8;
    order->tags.items = tags;
    order->tags.count = 3;
    order->flags.items = flags;
    order->flags.count = 3;
    order->limit.has = true;
    order->limit.value = -42;
    order->billing.has = true;
    order->billing.value = (struct shop_address){CMDS_STRING("Side St"), "FR"};
    order->hint.has = true;
    order->hint.value = (struct cmds_string)CMDS_STRING("back door");
    order->labels = (struct cmds_map){labels, 2};
    order->state = SHOP_PAID;
    order->big = INT64_MIN;
    order->weight = SIZE_MAX;
    order->rate = 0.1f;
    order->i8 = INT8_MIN;
    order->u8 = UINT8_MAX;
    order->i16 = INT16_MIN;
    order->u16 = UINT16_MAX;
    order->u32 = UINT32_MAX;
    order->real = 1e300;
    order->gift = true;
}

static inline bool shop_bytes_equal(const void *a, size_t a_size, const void *b, size_t b_size)
{
    return a_size == b_size && (a_size == 0 || memcmp(a, b, a_size) == 0);
}

static inline bool shop_address_equal(const struct shop_address *a, const struct shop_address *b)
{
    return cmds_string_equal(a->street, b->street) && strcmp(a->country, b->country) == 0;
}

static inline bool shop_lists_equal(const struct shop_order *a, const struct shop_order *b)
{
    bool equal = a->items.count == b->items.count && a->tags.count == b->tags.count &&
                 a->labels.count == b->labels.count &&
                 shop_bytes_equal(a->coupons.items, 8 * a->coupons.count, b->coupons.items,
                         8 * b->coupons.count) &&
                 shop_bytes_equal(a->flags.items, a->flags.count, b->flags.items, b->flags.count);
    for (size_t i = 0; equal && i < a->items.count; i++) {
        const struct shop_item *x = &a->items.items[i], *y = &b->items.items[i];
        equal = x->sku == y->sku && x->quantity == y->quantity &&
                memcmp(&x->price, &y->price, 8) == 0;
    }
    for (size_t i = 0; equal && i < a->tags.count; i++) {
        equal = cmds_string_equal(a->tags.items[i], b->tags.items[i]);
    }
    for (size_t i = 0; equal && i < a->labels.count; i++) {
        equal = cmds_string_equal(a->labels.items[i].key, b->labels.items[i].key) &&
                cmds_string_equal(a->labels.items[i].value, b->labels.items[i].value);
    }
    return equal;
}

static inline bool shop_options_equal(const struct shop_order *a, const struct shop_order *b)
{
    return a->limit.has == b->limit.has && (!a->limit.has || a->limit.value == b->limit.value) &&
           a->billing.has == b->billing.has &&
           (!a->billing.has || shop_address_equal(&a->billing.value, &b->billing.value)) &&
           a->hint.has == b->hint.has &&
           (!a->hint.has || cmds_string_equal(a->hint.value, b->hint.value));
}

static inline bool shop_order_equal(const struct shop_order *a, const struct shop_order *b)
{
    return memcmp(a->id, b->id, sizeof(a->id)) == 0 && strcmp(a->customer, b->customer) == 0 &&
           cmds_string_equal(a->note, b->note) &&
           shop_bytes_equal(a->invoice.data, a->invoice.size, b->invoice.data, b->invoice.size) &&
           shop_address_equal(&a->address, &b->address) && shop_lists_equal(a, b) &&
           shop_options_equal(a, b) && a->state == b->state && a->big == b->big &&
           a->weight == b->weight && memcmp(&a->rate, &b->rate, sizeof(a->rate)) == 0 &&
           a->i8 == b->i8 && a->u8 == b->u8 && a->i16 == b->i16 && a->u16 == b->u16 &&
           a->u32 == b->u32 && memcmp(&a->real, &b->real, sizeof(a->real)) == 0 &&
           a->gift == b->gift;
}

#endif
