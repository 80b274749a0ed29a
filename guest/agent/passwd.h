/*
 * /etc/passwd and /etc/group of a container: hostile text. Pure; any thread.
 *
 * Lines that don't have the form are skipped, as libc does. A key matches a name or, written in
 * decimal, an id; a name wins over an id only by standing earlier in the file (as podman and runc
 * have it).
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define PASSWD_HOME_MAX 1023
#define PASSWD_NAME_MAX 255

typedef struct PasswdUser {
        uint32_t uid;
        uint32_t gid;
        char name[PASSWD_NAME_MAX + 1];
        char home[PASSWD_HOME_MAX + 1];
} PasswdUser;

/* 0 or -ENOENT. */
int passwd_find_user(const char *text, size_t size, const char *key, PasswdUser *ret);
int passwd_find_group(const char *text, size_t size, const char *key, uint32_t *ret_gid);

/* The groups that list @user as a member, at most @max. Returns how many. */
unsigned passwd_member_groups(const char *text, size_t size, const char *user, uint32_t *gids,
                              unsigned max);
