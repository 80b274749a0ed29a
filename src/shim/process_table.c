/* The life of the processes' records; see process.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

#include "shim/client.h"
#include "shim/process.h"

static Process *process_free(Process *process)
{
        list_for_each (item, &process->clients)
                client_drop(LIST_ENTRY(item, Client, link));
        input_done(&process->input);
        for (unsigned i = 0; i < PROCESS_OUTPUTS; i++) {
                output_done(&process->outputs[i]);
                free(process->fields[i]);
        }
        for (unsigned i = 0; i < PROCESS_ABOUT; i++)
                free(process->about[i]);
        list_remove(&process->link);
        free(process);
        return NULL;
}

static void process_table_free_clients(ProcessTable *table)
{
        List *item;

        while ((item = list_first(&table->dead_clients))) {
                list_remove(item);
                free(LIST_ENTRY(item, Client, link));
        }
}

/* Frees what is dead. A removed process stays while a client of it has output to read. */
static int process_table_on_undertaker(LoopTimer *timer)
{
        ProcessTable *table = CONTAINER_OF(timer, ProcessTable, undertaker);

        process_table_free_clients(table);
        list_for_each (item, &table->graveyard) {
                Process *process = LIST_ENTRY(item, Process, link);

                if (list_is_empty(&process->clients))
                        process_free(process);
        }
        return 0;
}

void process_table_bury(ProcessTable *table)
{
        loop_timer_arm(table->loop, &table->undertaker, 0, process_table_on_undertaker);
}

void process_table_init(ProcessTable *table, Loop *loop, Journal *journal,
                        void (*changed)(Process *process))
{
        table->loop = loop;
        table->journal = journal;
        table->changed = changed;
        list_init(&table->processes);
        list_init(&table->graveyard);
        list_init(&table->dead_clients);
}

void process_table_done(ProcessTable *table)
{
        if (!table->loop)
                return;
        list_for_each (item, &table->processes)
                process_free(LIST_ENTRY(item, Process, link));
        list_for_each (item, &table->graveyard)
                process_free(LIST_ENTRY(item, Process, link));
        process_table_free_clients(table);
        loop_timer_cancel(&table->undertaker);
}

Process *process_find(ProcessTable *table, uint64_t token)
{
        list_for_each (item, &table->processes) {
                Process *found = LIST_ENTRY(item, Process, link);

                if (found->spec.process == token)
                        return found;
        }
        return NULL;
}

Process *process_find_by_ids(ProcessTable *table, const char *container, const char *process)
{
        list_for_each (item, &table->processes) {
                Process *found = LIST_ENTRY(item, Process, link);

                if (strcmp(found->spec.container_id, container) == 0 &&
                    strcmp(found->spec.process_id, process) == 0)
                        return found;
        }
        return NULL;
}

/* The journal's fields of one stream. As podman and docker do it, errors are of priority "err". */
static int process_make_fields(Process *process, unsigned i)
{
        bool terminal = process->spec.flags & SHIM_PROCESS_TTY;
        const struct {
                const char *key, *value;
        } fields[] = {
                {"UVM_CONTAINER", process->spec.container_id},
                {"UVM_CONTAINER_NAME", process->spec.container},
                {"UVM_PROCESS", process->spec.process_id},
                {"SYSLOG_IDENTIFIER", process->spec.identifier},
                {"UVM_STREAM", i == PROCESS_STDERR ? "stderr"
                               : terminal          ? "tty"
                                                   : "stdout"},
                {"PRIORITY", i == PROCESS_STDERR ? "3" : "6"},
        };

        for (size_t n = 0; n < ELEMENTSOF(fields); n++) {
                int r = journal_field_append(&process->fields[i], fields[n].key, fields[n].value);

                if (r < 0)
                        return r;
        }
        return 0;
}

/* Fields of log lines: those of the journal's, as base/log.h takes them. */
static int process_make_about(Process *process)
{
        const struct {
                const char *key, *value;
        } fields[PROCESS_ABOUT] = {
                {"UVM_CONTAINER", process->spec.container_id},
                {"UVM_CONTAINER_NAME", process->spec.container},
                {"UVM_PROCESS", process->spec.process_id},
        };

        for (size_t i = 0; i < ELEMENTSOF(fields); i++) {
                int r = journal_field_append(&process->about[i], fields[i].key, fields[i].value);

                if (r < 0)
                        return r;
                process->about[i][strlen(process->about[i]) - 1] = 0;
        }
        return 0;
}

static int process_check_spec(ProcessTable *table, const ShimAddProcess *spec)
{
        const unsigned known = SHIM_PROCESS_TTY | SHIM_PROCESS_STDIN | SHIM_PROCESS_JOURNAL |
                               SHIM_PROCESS_MAIN;

        if (spec->process == 0 || (spec->flags & ~known) || !spec->container_id[0])
                return -EINVAL;
        if (process_find(table, spec->process) ||
            process_find_by_ids(table, spec->container_id, spec->process_id))
                return -EEXIST;
        return table->n_processes < SHIM_PROCESSES_MAX ? 0 : -ENOSPC;
}

int process_add(ProcessTable *table, const ShimAddProcess *spec)
{
        Process *process;
        int r;

        r = process_check_spec(table, spec);
        if (r < 0)
                return r;
        process = calloc(1, sizeof(*process));
        if (!process)
                return -ENOMEM;
        process->table = table;
        process->spec = *spec;
        list_init(&process->clients);
        for (unsigned i = 0; r >= 0 && i < PROCESS_OUTPUTS; i++)
                r = process_make_fields(process, i);
        if (r >= 0)
                r = process_make_about(process);
        if (r < 0) {
                process_free(process);
                return r;
        }
        process_init_streams(process);
        list_append(&table->processes, &process->link);
        table->n_processes++;
        return 0;
}

int process_remove(Process *process)
{
        ProcessTable *table = process->table;

        if (process->state != PROCESS_ADDED && process->state != PROCESS_FAILED &&
            process->state != PROCESS_EXITED)
                return -EBUSY;
        /* One that was never started has clients with nothing to wait for. */
        input_finish(&process->input);
        for (unsigned i = 0; i < PROCESS_OUTPUTS; i++)
                output_finish(&process->outputs[i]);
        list_remove(&process->link);
        list_append(&table->graveyard, &process->link);
        table->n_processes--;
        process_table_bury(table);
        return 0;
}

bool process_table_is_owed(const ProcessTable *table)
{
        for (const List *item = table->processes.next; item != &table->processes; item = item->next)
                if (LIST_ENTRY(item, Process, link)->state != PROCESS_ADDED)
                        return true;
        return false;
}
