/* A client that is attached to a process; see client.h. */
#include <errno.h>
#include <stdlib.h>

#include "base/fd.h"

#include "shim/client.h"

static bool client_has_sinks(const Client *client)
{
        for (unsigned i = 0; i < PROCESS_OUTPUTS; i++)
                if (client->sinks[i].fd >= 0)
                        return true;
        return false;
}

/* After one of its fds was closed. */
static void client_settle(Client *client)
{
        ProcessTable *table = client->process->table;

        if (client_has_sinks(client))
                return;
        /* What a client that is gone has typed ahead still counts, but its place is free. */
        if (feed_is_hung_up(&client->feed))
                client->primary = client->feed.primary = false;
        if (client->feed.fd >= 0 || client->dead)
                return;
        client->dead = true;
        list_remove(&client->link);
        list_append(&table->dead_clients, &client->link);
        table->n_clients--;
        process_table_bury(table);
}

static void client_on_feed_closed(Feed *feed)
{
        client_settle(CONTAINER_OF(feed, Client, feed));
}

static void client_on_stdout_closed(Sink *sink)
{
        client_settle(CONTAINER_OF(sink, Client, sinks[PROCESS_STDOUT]));
}

static void client_on_stderr_closed(Sink *sink)
{
        client_settle(CONTAINER_OF(sink, Client, sinks[PROCESS_STDERR]));
}

void client_drop(Client *client)
{
        for (unsigned i = 0; i < PROCESS_OUTPUTS; i++)
                sink_close(&client->sinks[i]);
        feed_close(&client->feed);
}

static int client_open_sinks(Client *client, int outputs[PROCESS_OUTPUTS])
{
        static void (*const closed[PROCESS_OUTPUTS])(Sink *) = {
                [PROCESS_STDOUT] = client_on_stdout_closed,
                [PROCESS_STDERR] = client_on_stderr_closed,
        };

        for (unsigned i = 0; i < PROCESS_OUTPUTS; i++) {
                int r;

                if (outputs[i] < 0)
                        continue;
                r = sink_open(&client->sinks[i], &client->process->outputs[i], outputs[i],
                              client->primary, closed[i]);
                if (r < 0)
                        return r;
                outputs[i] = FD_NONE;
        }
        return 0;
}

int client_new(Process *process, bool primary, int input, const int outputs[PROCESS_OUTPUTS])
{
        _cleanup_(fd_closep) int feed = input;
        _cleanup_(fd_closep) int first = outputs[PROCESS_STDOUT], second = outputs[PROCESS_STDERR];
        int sinks[PROCESS_OUTPUTS] = {first, second};
        Client *client = calloc(1, sizeof(*client));
        int r;

        if (!client)
                return -ENOMEM;
        client->process = process;
        client->primary = primary;
        client->feed.fd = FD_NONE;
        for (unsigned i = 0; i < PROCESS_OUTPUTS; i++)
                client->sinks[i].fd = FD_NONE;
        list_append(&process->clients, &client->link);
        process->table->n_clients++;

        r = client_open_sinks(client, sinks);
        first = sinks[PROCESS_STDOUT];
        second = sinks[PROCESS_STDERR];
        if (r >= 0 && feed >= 0)
                feed_open(&client->feed, &process->input, TAKE_FD(feed), primary,
                          client_on_feed_closed);
        /* Failed half-way, or all it wanted was to feed an input that has ended. */
        if (r < 0)
                client_drop(client);
        client_settle(client);
        return r;
}
