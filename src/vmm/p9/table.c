/* An intrusive hash table; see table.h. */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "vmm/p9/table.h"

#define P9_TABLE_BUCKETS_MIN 64

/* Inode numbers and fids are small and dense: their low bits spread by themselves. */
static P9TableItem **p9_table_bucket(const P9Table *table, uint64_t hash)
{
        return &table->buckets[(hash ^ (hash >> 32)) & (table->n_buckets - 1)];
}

static void p9_table_link(P9Table *table, P9TableItem *item)
{
        P9TableItem **bucket = p9_table_bucket(table, item->hash);

        item->next = *bucket;
        *bucket = item;
}

static int p9_table_grow(P9Table *table)
{
        P9Table bigger = {
                .n_buckets = table->n_buckets ? table->n_buckets * 2 : P9_TABLE_BUCKETS_MIN,
                .n_items = table->n_items,
        };

        bigger.buckets = calloc(bigger.n_buckets, sizeof(*bigger.buckets));
        if (!bigger.buckets)
                return -ENOMEM;
        for (size_t i = 0; i < table->n_buckets; i++)
                for (P9TableItem *item = table->buckets[i], *next; item; item = next) {
                        next = item->next;
                        p9_table_link(&bigger, item);
                }
        free(table->buckets);
        *table = bigger;
        return 0;
}

int p9_table_insert(P9Table *table, P9TableItem *item, uint64_t hash)
{
        if (table->n_items >= table->n_buckets) {
                int r = p9_table_grow(table);

                if (r < 0)
                        return r;
        }
        item->hash = hash;
        p9_table_link(table, item);
        table->n_items++;
        return 0;
}

void p9_table_remove(P9Table *table, P9TableItem *item)
{
        P9TableItem **at = p9_table_bucket(table, item->hash);

        while (*at && *at != item)
                at = &(*at)->next;
        assert(*at);
        *at = item->next;
        item->next = NULL;
        table->n_items--;
}

static P9TableItem *p9_table_skip(P9TableItem *item, uint64_t hash)
{
        while (item && item->hash != hash)
                item = item->next;
        return item;
}

P9TableItem *p9_table_first(const P9Table *table, uint64_t hash)
{
        if (table->n_buckets == 0)
                return NULL;
        return p9_table_skip(*p9_table_bucket(table, hash), hash);
}

P9TableItem *p9_table_next(const P9TableItem *item)
{
        return p9_table_skip(item->next, item->hash);
}

P9TableItem *p9_table_any(const P9Table *table, size_t *at)
{
        for (; *at < table->n_buckets; (*at)++)
                if (table->buckets[*at])
                        return table->buckets[*at];
        return NULL;
}

void p9_table_done(P9Table *table)
{
        assert(table->n_items == 0);
        free(table->buckets);
        *table = (P9Table){};
}
