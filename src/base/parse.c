/* Text from people and files to values; see parse.h. */
#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/parse.h"

/* Reads digits into *value; returns how many there were, or -ERANGE. */
static int parse_digits(const char **at, uint64_t *value)
{
        int n = 0;

        for (; isdigit((unsigned char)**at); (*at)++, n++)
                if (__builtin_mul_overflow(*value, 10ULL, value) ||
                    __builtin_add_overflow(*value, (uint64_t)(**at - '0'), value))
                        return -ERANGE;
        return n;
}

int parse_u64(const char *text, uint64_t min, uint64_t max, uint64_t *ret)
{
        uint64_t value = 0;
        int n = parse_digits(&text, &value);

        if (n < 0)
                return n;
        if (n == 0 || *text)
                return -EINVAL;
        if (value < min || value > max)
                return -ERANGE;
        *ret = value;
        return 0;
}

int parse_u32(const char *text, uint32_t min, uint32_t max, uint32_t *ret)
{
        uint64_t value;
        int r = parse_u64(text, min, max, &value);

        if (r < 0)
                return r;
        *ret = (uint32_t)value;
        return 0;
}

/* The decimal digits behind a point as millionths; further digits are read and dropped. */
static uint64_t parse_millionths(const char **at)
{
        uint64_t value = 0, unit = 100000;

        for (; isdigit((unsigned char)**at); (*at)++, unit /= 10)
                value += unit * (uint64_t)(**at - '0');
        return value;
}

/* The power of two that a size suffix stands for, or -EINVAL. */
static int parse_size_suffix(const char *text)
{
        static const char units[] = "bkmgt";
        const char *unit;

        if (!*text)
                return 0;
        unit = strchr(units, tolower((unsigned char)*text));
        if (!unit || !*unit)
                return -EINVAL;
        text++;
        if (unit != units && (strcasecmp(text, "b") == 0 || strcasecmp(text, "ib") == 0))
                text += strlen(text);
        return *text ? -EINVAL : (int)(unit - units) * 10;
}

int parse_bytes(const char *text, uint64_t *ret)
{
        uint64_t whole = 0, millionths = 0, value;
        int n = parse_digits(&text, &whole);
        int shift;

        if (n < 0)
                return n;
        if (n == 0)
                return -EINVAL;
        if (*text == '.') {
                text++;
                if (!isdigit((unsigned char)*text))
                        return -EINVAL;
                millionths = parse_millionths(&text);
        }
        shift = parse_size_suffix(text);
        if (shift < 0)
                return shift;
        if (__builtin_mul_overflow(whole, 1ULL << shift, &value))
                return -ERANGE;
        /* Below 10^6 × 2^40: no overflow. */
        millionths = (millionths << shift) / 1000000;
        if (__builtin_add_overflow(value, millionths, ret))
                return -ERANGE;
        return 0;
}

int parse_milli(const char *text, uint64_t max_milli, uint64_t *ret)
{
        uint64_t whole = 0, value;
        int n = parse_digits(&text, &whole);

        if (n < 0)
                return n;
        if (n == 0)
                return -EINVAL;
        if (__builtin_mul_overflow(whole, 1000ULL, &value))
                return -ERANGE;
        if (*text == '.') {
                text++;
                if (!isdigit((unsigned char)*text))
                        return -EINVAL;
                if (__builtin_add_overflow(value, parse_millionths(&text) / 1000, &value))
                        return -ERANGE;
        }
        if (*text)
                return -EINVAL;
        if (value < 1 || value > max_milli)
                return -ERANGE;
        *ret = value;
        return 0;
}

int parse_bool(const char *text, bool *ret)
{
        static const char *const yes[] = {"1", "yes", "y", "true", "t", "on"};
        static const char *const no[] = {"0", "no", "n", "false", "f", "off"};

        for (size_t i = 0; i < ELEMENTSOF(yes); i++) {
                if (strcasecmp(text, yes[i]) == 0) {
                        *ret = true;
                        return 0;
                }
                if (strcasecmp(text, no[i]) == 0) {
                        *ret = false;
                        return 0;
                }
        }
        return -EINVAL;
}

bool name_is_valid(const char *name)
{
        size_t size = strnlen(name, NAME_SIZE_MAX + 1);

        if (size < 1 || size > NAME_SIZE_MAX || !isalnum((unsigned char)name[0]))
                return false;
        return strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-") ==
               size;
}

bool id_is_valid(const char *id)
{
        return strnlen(id, ID_SIZE + 1) == ID_SIZE && strspn(id, "0123456789abcdef") == ID_SIZE;
}

int id_generate(char ret[ID_SIZE + 1])
{
        static const char digits[] = "0123456789abcdef";
        uint8_t bytes[ID_SIZE / 2];

        if (getrandom(bytes, sizeof(bytes), 0) != sizeof(bytes))
                return errno_neg();
        for (size_t i = 0; i < sizeof(bytes); i++) {
                ret[2 * i] = digits[bytes[i] >> 4];
                ret[2 * i + 1] = digits[bytes[i] & 15];
        }
        ret[ID_SIZE] = 0;
        return 0;
}
