/* What is wrong with an argument, in words for who wrote it. */
#pragma once

/* -EINVAL with the words in @ret_error, the caller's to free; -ENOMEM with NULL. */
int wrong(char **ret_error, const char *format, ...) __attribute__((format(printf, 2, 3)));
