/* What stands in resolv.conf and hosts; see nametext.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/nametext.h"

#define BLANKS " \t"

static bool fits_into_lines(const CodecStrings *strings)
{
        for (uint32_t i = 0; i < strings->n; i++)
                for (const char *at = strings->items[i]; *at; at++)
                        if (((unsigned char)*at < ' ' && *at != '\t') || *at == 0x7f)
                                return false;
        return true;
}

bool nametext_is_valid(const AgentResolver *resolver)
{
        return fits_into_lines(&resolver->nameservers) && fits_into_lines(&resolver->search) &&
               fits_into_lines(&resolver->options) && fits_into_lines(&resolver->hosts);
}

bool nametext_has_resolver(const AgentResolver *resolver)
{
        return resolver->nameservers.n > 0 || resolver->search.n > 0 || resolver->options.n > 0;
}

/* All in one line behind @key. */
static void print_line(FILE *file, const char *key, const CodecStrings *strings)
{
        if (strings->n == 0)
                return;
        fputs(key, file);
        for (uint32_t i = 0; i < strings->n; i++)
                fprintf(file, " %s", strings->items[i]);
        fputc('\n', file);
}

/* NULL if anything has failed. */
static char *finish(FILE *file, char **text)
{
        bool failed = ferror(file);

        if (fclose(file) == 0 && !failed)
                return *text;
        free(*text);
        return NULL;
}

char *nametext_resolver(const AgentResolver *resolver)
{
        char *text = NULL;
        size_t size;
        FILE *file = open_memstream(&text, &size);

        if (!file)
                return NULL;
        print_line(file, "search", &resolver->search);
        for (uint32_t i = 0; i < resolver->nameservers.n; i++)
                fprintf(file, "nameserver %s\n", resolver->nameservers.items[i]);
        print_line(file, "options", &resolver->options);
        return finish(file, &text);
}

/* Whether one of the words of a line, but for the address, is @name. */
static bool names(const char *line, const char *name)
{
        const char *at = line + strspn(line, BLANKS);
        size_t length = strlen(name), n;

        for (at += strcspn(at, BLANKS); *at; at += n) {
                at += strspn(at, BLANKS);
                n = strcspn(at, BLANKS);
                if (*at == '#')
                        return false;
                if (n == length && strncmp(at, name, n) == 0)
                        return true;
        }
        return false;
}

char *nametext_hosts(const AgentResolver *resolver, const char *name)
{
        bool named = !*name || strcspn(name, BLANKS "\n#") != strlen(name);
        char *text = NULL;
        size_t size;
        FILE *file = open_memstream(&text, &size);

        if (!file)
                return NULL;
        fputs("127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n", file);
        for (uint32_t i = 0; resolver && i < resolver->hosts.n; i++) {
                fprintf(file, "%s\n", resolver->hosts.items[i]);
                named = named || names(resolver->hosts.items[i], name);
        }
        if (!named)
                fprintf(file, "127.0.1.1\t%s\n", name);
        return finish(file, &text);
}
