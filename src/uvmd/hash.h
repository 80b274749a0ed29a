/*
 * uthash with its one-at-a-time hash: the default one falls through switch labels without saying so,
 * which our warnings refuse. Keys are ids of ours, or names that a worker with a time limit has read:
 * who chooses them to collide wins nothing.
 */
#pragma once

#define HASH_FUNCTION HASH_OAT
#include <uthash.h>
