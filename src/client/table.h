/* Listings in aligned columns, as podman prints them: upper-case heads, three blanks between. */
#pragma once

#include <stdint.h>

#define TABLE_COLUMNS_MAX 12

typedef struct Table Table;

/* @heads ends in NULL and is borrowed; at most TABLE_COLUMNS_MAX. Aborts when out of memory. */
Table *table_new(const char *const *heads);
Table *table_free(Table *table);

static inline void table_freep(Table **table)
{
        table_free(*table);
}

/* Starts a row / fills its next cell; control characters are printed as '?'. */
void table_row(Table *table);
void table_cell(Table *table, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Prints and empties it. @heads: with the head line. */
void table_print(Table *table, int heads);

/* "1.5GiB", "12.0MiB", "512B" into @text. */
#define TABLE_TEXT_MAX 48
const char *table_format_bytes(uint64_t bytes, char text[TABLE_TEXT_MAX]);

/* "5 minutes ago", of a CLOCK_REALTIME µs timestamp; "" for 0. */
const char *table_format_ago(uint64_t usec, char text[TABLE_TEXT_MAX]);
