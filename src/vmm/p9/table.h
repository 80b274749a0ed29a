/*
 * An intrusive hash table of chains: what fids and nodes are found by. The owner of the items
 * compares them; the table only knows hashes. It grows with its items and never shrinks before
 * p9_table_done().
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

typedef struct P9TableItem {
        struct P9TableItem *next;
        uint64_t hash;
} P9TableItem;

typedef struct P9Table {
        P9TableItem **buckets;
        size_t n_buckets; /* 0 or a power of two */
        size_t n_items;
} P9Table;

/* 0 or -ENOMEM. Borrows @item until it is removed. */
int p9_table_insert(P9Table *table, P9TableItem *item, uint64_t hash);
void p9_table_remove(P9Table *table, P9TableItem *item);

/* The items of @hash, one after the other; NULL at the end. */
P9TableItem *p9_table_first(const P9Table *table, uint64_t hash);
P9TableItem *p9_table_next(const P9TableItem *item);

/* Any item, or NULL when the table is empty; @at (start with 0) remembers where the search ended,
 * so that emptying a table takes linear time. */
P9TableItem *p9_table_any(const P9Table *table, size_t *at);

/* Frees the buckets; the items are their owner's. */
void p9_table_done(P9Table *table);
