/* Listings in aligned columns; see table.h. */
#include <assert.h>
#include <ctype.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "client/table.h"

struct Table {
        const char *const *heads;
        size_t n_columns;
        char **cells; /* row by row */
        size_t n_cells;
        size_t column; /* of the row at hand */
};

Table *table_new(const char *const *heads)
{
        Table *table = calloc(1, sizeof(*table));

        if (!table)
                abort();
        table->heads = heads;
        while (heads[table->n_columns])
                table->n_columns++;
        assert(table->n_columns > 0 && table->n_columns <= TABLE_COLUMNS_MAX);
        table->column = table->n_columns;
        return table;
}

static void table_clear(Table *table)
{
        for (size_t i = 0; i < table->n_cells; i++)
                free(table->cells[i]);
        table->n_cells = 0;
        table->column = table->n_columns;
}

Table *table_free(Table *table)
{
        if (!table)
                return NULL;
        table_clear(table);
        free(table->cells);
        free(table);
        return NULL;
}

void table_row(Table *table)
{
        size_t n = table->n_cells + table->n_columns;
        char **cells = reallocarray(table->cells, n, sizeof(*cells));

        if (!cells)
                abort();
        memset(cells + table->n_cells, 0, table->n_columns * sizeof(*cells));
        table->cells = cells;
        table->n_cells = n;
        table->column = 0;
}

void table_cell(Table *table, const char *format, ...)
{
        va_list arguments;
        char *text;

        assert(table->column < table->n_columns);
        va_start(arguments, format);
        if (vasprintf(&text, format, arguments) < 0)
                abort();
        va_end(arguments);
        for (char *at = text; *at; at++)
                if (iscntrl((unsigned char)*at))
                        *at = '?';
        table->cells[table->n_cells - table->n_columns + table->column++] = text;
}

static void table_measure(const Table *table, int heads, int widths[TABLE_COLUMNS_MAX])
{
        for (size_t i = 0; i < table->n_columns; i++)
                widths[i] = heads ? (int)strlen(table->heads[i]) : 0;
        for (size_t i = 0; i < table->n_cells; i++) {
                int width = table->cells[i] ? (int)strlen(table->cells[i]) : 0;

                widths[i % table->n_columns] = MAX(widths[i % table->n_columns], width);
        }
}

/* The last column is not padded: lines end where their text does. */
static void table_print_line(const Table *table, const char *const *texts, const int *widths)
{
        for (size_t i = 0; i < table->n_columns; i++) {
                const char *text = texts[i] ? texts[i] : "";

                if (i + 1 < table->n_columns)
                        printf("%-*s   ", widths[i], text);
                else
                        printf("%s\n", text);
        }
}

void table_print(Table *table, int heads)
{
        int widths[TABLE_COLUMNS_MAX];

        table_measure(table, heads, widths);
        if (heads)
                table_print_line(table, table->heads, widths);
        for (size_t i = 0; i < table->n_cells; i += table->n_columns)
                table_print_line(table, (const char *const *)table->cells + i, widths);
        table_clear(table);
}

const char *table_format_bytes(uint64_t bytes, char text[TABLE_TEXT_MAX])
{
        static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
        double value = (double)bytes;
        size_t unit = 0;

        while (value >= 1024 && unit + 1 < ELEMENTSOF(units)) {
                value /= 1024;
                unit++;
        }
        snprintf(text, TABLE_TEXT_MAX, unit ? "%.1f%s" : "%.0f%s", value, units[unit]);
        return text;
}

const char *table_format_ago(uint64_t usec, char text[TABLE_TEXT_MAX])
{
        static const struct {
                const char *name;
                uint64_t seconds;
        } units[] = {
                {"week", 604800}, {"day", 86400}, {"hour", 3600}, {"minute", 60}, {"second", 1},
        };
        uint64_t now = clock_realtime_usec(), seconds, n = 0;
        size_t i = 0;

        text[0] = 0;
        if (usec == 0)
                return text;
        seconds = now > usec ? (now - usec) / USEC_PER_SEC : 0;
        while (i + 1 < ELEMENTSOF(units) && seconds < units[i].seconds)
                i++;
        n = seconds / units[i].seconds;
        snprintf(text, TABLE_TEXT_MAX, "%" PRIu64 " %s%s ago", n, units[i].name, n == 1 ? "" : "s");
        return text;
}
