/*
 * From configuration to specification: what an image says and what the caller wants become the
 * agent's requests, by podman's rules (entrypoint and command, environment, default mounts, masked
 * paths, capabilities). Pure.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "proto/agent.h"
#include "uvmd/configuration.h"
#include "uvmd/image/image.h"

typedef struct SpecContainer {
        const char *id;
        const char *tag;   /* of the 9p device with the root file system */
        const char *upper; /* serial of the disk with the writable layer; NULL: it is in memory */
        const char *hostname;
        uint64_t token;
        const ContainerConfig *config;
        const ImageConfig *image;
        const AgentMount *mounts; /* beside the default ones, in this order; borrowed */
        uint32_t n_mounts;
        AgentIoLimit *disks; /* limits of disks; borrowed */
        uint32_t n_disks;
} SpecContainer;

typedef struct SpecProcess {
        const char *container;
        const char *id;
        uint64_t token;
        const TaskConfig *config;
        const ContainerConfig *container_config;
        const ImageConfig *image;
} SpecProcess;

/*
 * The entrypoint and arguments that run: the caller's entrypoint drops the image's command; the
 * caller's command replaces the image's. An empty array: there is nothing to run. NULL: -ENOMEM.
 */
char **spec_command(const ContainerConfig *config, const ImageConfig *image);

/* The agent's limits; all of it borrows. */
AgentLimits spec_limits(const ContainerLimits *limits, AgentIoLimit *disks, uint32_t n_disks);

/* The payload of AGENT_REQUEST_CREATE, AGENT_REQUEST_EXEC. 0, -ENOMEM, or -ENOBUFS: the arguments
 * and variables are more than a message holds. */
int spec_encode_create(const SpecContainer *spec, void *buffer, size_t size, size_t *ret);
int spec_encode_exec(const SpecProcess *spec, void *buffer, size_t size, size_t *ret);
