/* Intrusive doubly linked lists. An item that is on no list points to itself or is all zero. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/cleanup.h"

typedef struct List {
        struct List *next, *previous;
} List;

#define LIST_INIT(head)                              \
        (List)                                       \
        {                                            \
                .next = &(head), .previous = &(head) \
        }

static inline void list_init(List *list)
{
        list->next = list->previous = list;
}

static inline bool list_is_empty(const List *list)
{
        return !list->next || list->next == list;
}

static inline void list_append(List *head, List *item)
{
        item->previous = head->previous;
        item->next = head;
        head->previous->next = item;
        head->previous = item;
}

/* Harmless on an item that is on no list. */
static inline void list_remove(List *item)
{
        if (!item->next)
                return;
        item->previous->next = item->next;
        item->next->previous = item->previous;
        list_init(item);
}

static inline List *list_first(List *head)
{
        return list_is_empty(head) ? NULL : head->next;
}

#define LIST_ENTRY(item, type, member) CONTAINER_OF(item, type, member)

/* Safe against removal of the item at hand. */
#define list_for_each(item, head)                                                   \
        for (List *item = (head)->next, *item##_next_ = item->next; item != (head); \
             item = item##_next_, item##_next_ = item->next)
