#include "stub/string.h"

void *memcpy(void *to, const void *from, size_t size)
{
        void *at = to;

        __asm__ volatile("rep movsb" : "+D"(at), "+S"(from), "+c"(size) : : "memory");
        return to;
}

void *memset(void *to, int byte, size_t size)
{
        void *at = to;

        __asm__ volatile("rep stosb" : "+D"(at), "+c"(size) : "a"(byte) : "memory");
        return to;
}

int memcmp(const void *a, const void *b, size_t size)
{
        const unsigned char *x = a, *y = b;

        for (size_t i = 0; i < size; i++)
                if (x[i] != y[i])
                        return x[i] - y[i];
        return 0;
}
