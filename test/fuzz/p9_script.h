/*
 * 9p messages out of a fuzzer's bytes. The input picks, it does not spell: each byte chooses a value
 * that makes sense where it stands, a fid that exists, a name that may; the highest bytes choose what
 * doesn't. So every message of 9P2000.L gets as far as the files.
 */
#pragma once

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/wire.h"
#include "vmm/p9/codec.h"

#define FIDS 40

typedef struct Script {
        WireReader input;
        bool fids[FIDS]; /* that exist, by the replies */
} Script;

static const char *const names[] = {"a", "b", "c", "d", "e", "dir", "sub", "file",
                                    "1", "2", "3", "4", "5", "6",   "7",   "8"};

/* A name that may exist; seldom one that must not. */
static inline void pick_name(Script *script, char ret[static 300])
{
        static const char *const bad[] = {"", ".", "..", "a/b", "/"};
        uint8_t byte = wire_get_u8(&script->input);

        if (byte < 0xf0)
                snprintf(ret, 300, "%s", names[byte % ELEMENTSOF(names)]);
        else if (byte % 8 < ELEMENTSOF(bad))
                snprintf(ret, 300, "%s", bad[byte % 8]);
        else
                snprintf(ret, 300, "%0*d", 254 + byte % 8 - 5, 0); /* 254 to 256 bytes */
}

/*
 * For the test's own calls on the scratch directory: always a plain name. What the server must refuse
 * would reach the machine here.
 */
static inline const char *pick_own_name(Script *script)
{
        return names[wire_get_u8(&script->input) % ELEMENTSOF(names)];
}

/* A fid that exists, if @exists and any does; else one that doesn't. Seldom any. */
static inline uint32_t pick_fid(Script *script, bool exists)
{
        uint8_t byte = wire_get_u8(&script->input);

        if (byte >= 0xf0)
                return byte == 0xff ? P9_NO_FID : byte;
        for (unsigned i = 0; i < FIDS; i++) {
                unsigned fid = (byte + i) % FIDS;

                if (script->fids[fid] == exists)
                        return fid;
        }
        return byte;
}

static inline uint64_t pick_number(Script *script)
{
        static const uint64_t numbers[] = {
                0,          1,
                2,          3,
                7,          24,
                64,         100,
                255,        256,
                512,        4096,
                8192,       32768,
                65535,      65536,
                1 << 20,    INT32_MAX,
                UINT32_MAX, 1ULL << 32,
                INT64_MAX,  INT64_MAX - 1,
                UINT64_MAX,
        };
        uint8_t byte = wire_get_u8(&script->input);

        return byte < 128 ? byte : numbers[byte % ELEMENTSOF(numbers)];
}

/* An owner: most may give files only to themselves and to nobody in particular. */
static inline uint32_t pick_owner(Script *script, uint32_t own)
{
        uint8_t byte = wire_get_u8(&script->input);

        if (byte < 0xc0)
                return byte & 1 ? own : P9_NO_ID;
        return byte;
}

static inline uint32_t pick_flags(Script *script)
{
        static const uint32_t flags[] = {P9_O_TRUNC, P9_O_APPEND,    P9_O_EXCL,
                                         P9_O_DSYNC, P9_O_DIRECTORY, P9_O_NOATIME};
        uint8_t byte = wire_get_u8(&script->input);
        uint32_t result = byte & 3;

        for (unsigned i = 0; i < ELEMENTSOF(flags); i++)
                if (byte & (4U << i))
                        result |= flags[i];
        return result;
}

static inline uint32_t pick_mode(Script *script)
{
        static const uint32_t types[] = {0,       S_IFREG, S_IFIFO, S_IFSOCK,
                                         S_IFCHR, S_IFDIR, S_IFLNK, S_IFREG};
        static const uint32_t modes[] = {0644, 0755, 04755, 02755, 01777, 0, 0444, 07777};
        uint8_t byte = wire_get_u8(&script->input);

        return types[byte & 7] | modes[byte >> 3 & 7];
}

static inline const char *pick_attribute(Script *script)
{
        static char too_long[258];
        const char *const attributes[] = {
                "user.a", "user.b", "", "security.x", "none", "system.posix_acl_access", too_long};

        memset(too_long, 'x', sizeof(too_long) - 1);

        return attributes[wire_get_u8(&script->input) % ELEMENTSOF(attributes)];
}

/* The bodies: f a fid that exists, n a new one, s a name, S any text, W names to walk, o open flags,
 * m a mode, u and g owners, x an attribute's name, d data to write; a digit a number of so many bytes. */
static const struct {
        uint8_t type;
        const char *body;
} messages[] = {
        {P9_TVERSION, "4S"},         {P9_TATTACH, "nfSSu"}, {P9_TFLUSH, "2"},
        {P9_TWALK, "fnW"},           {P9_TCLUNK, "f"},      {P9_TLOPEN, "fo"},
        {P9_TLCREATE, "fsomg"},      {P9_TMKDIR, "fsmg"},   {P9_TMKNOD, "fsm44g"},
        {P9_TSYMLINK, "fsSg"},       {P9_TREAD, "f84"},     {P9_TWRITE, "f8d"},
        {P9_TFSYNC, "f4"},           {P9_TREADDIR, "f84"},  {P9_TGETATTR, "f8"},
        {P9_TSETATTR, "f4mug88888"}, {P9_TSTATFS, "f"},     {P9_TREADLINK, "f"},
        {P9_TLINK, "ffs"},           {P9_TRENAME, "ffs"},   {P9_TRENAMEAT, "fsfs"},
        {P9_TUNLINKAT, "fs4"},       {P9_TREMOVE, "f"},     {P9_TXATTRWALK, "fnx"},
        {P9_TXATTRCREATE, "fx84"},   {P9_TLOCK, "f14884S"}, {P9_TGETLOCK, "f1884S"},
};

static inline void put_text(WireWriter *writer, const char *text)
{
        p9_put_string(writer, text, strlen(text));
}

static inline void put_walk(Script *script, WireWriter *writer)
{
        uint8_t n = wire_get_u8(&script->input) % (P9_WALK_MAX + 2);
        char name[300];

        wire_put_u16(writer, n);
        for (unsigned i = 0; i < n; i++) {
                pick_name(script, name);
                put_text(writer, name);
        }
}

static inline void put_any_text(Script *script, WireWriter *writer)
{
        static const char *const texts[] = {"", "9P2000.L", "/", "text", "dir/a", "../x"};
        uint8_t byte = wire_get_u8(&script->input);

        if (byte < 0xf0)
                put_text(writer, texts[byte % ELEMENTSOF(texts)]);
        else
                p9_put_string(writer, byte & 1 ? "a\0b" : "", byte & 1 ? 3 : 0);
}

/* The count comes before the data, as Twrite has it. */
static inline void put_data(Script *script, WireWriter *writer)
{
        static const uint8_t data[4096] = "data";
        uint64_t wanted = pick_number(script);
        uint32_t size = (uint32_t)MIN(wanted, sizeof(data));

        wire_put_u32(writer, size);
        wire_put_bytes(writer, data, size);
}

static inline void put_number(WireWriter *writer, char width, uint64_t number)
{
        switch (width) {
        case '1':
                wire_put_u8(writer, (uint8_t)number);
                break;
        case '2':
                wire_put_u16(writer, (uint16_t)number);
                break;
        case '4':
                wire_put_u32(writer, (uint32_t)number);
                break;
        case '8':
                wire_put_u64(writer, number);
                break;
        }
}

static inline void put_field(Script *script, WireWriter *writer, char field)
{
        char name[300];

        switch (field) {
        case 'f':
                wire_put_u32(writer, pick_fid(script, true));
                break;
        case 'n':
                wire_put_u32(writer, pick_fid(script, false));
                break;
        case 's':
                pick_name(script, name);
                put_text(writer, name);
                break;
        case 'S':
                put_any_text(script, writer);
                break;
        case 'W':
                put_walk(script, writer);
                break;
        case 'o':
                wire_put_u32(writer, pick_flags(script));
                break;
        case 'm':
                wire_put_u32(writer, pick_mode(script));
                break;
        case 'u':
                wire_put_u32(writer, pick_owner(script, geteuid()));
                break;
        case 'g':
                wire_put_u32(writer, pick_owner(script, getegid()));
                break;
        case 'x':
                put_text(writer, pick_attribute(script));
                break;
        case 'd':
                put_data(script, writer);
                break;
        default:
                put_number(writer, field, pick_number(script));
                break;
        }
}
