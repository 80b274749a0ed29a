/* What the two halves of the agent protocol's codec share; see agent.h. Nobody else's. */
#pragma once

#include "proto/agent.h"
#include "proto/codec.h"

/* An enum, u8 on the wire, below @max. */
#define codec_enum(codec, value, max)                             \
        do {                                                      \
                uint8_t number_ = (uint8_t) * (value);            \
                codec_u8((codec), &number_);                      \
                if (number_ >= (max))                             \
                        codec_fail(codec);                        \
                else if ((codec)->mode == CODEC_DECODE)           \
                        *(value) = (__typeof__(*(value)))number_; \
        } while (0)

/* A u32 in which only the bits of @known may be set. */
static inline void codec_flags(Codec *codec, uint32_t *value, uint32_t known)
{
        codec_u32(codec, value);
        if (*value & ~known)
                codec_fail(codec);
}

/* Defines the three functions of a message whose visitor is codec_<name>(Codec *, type *). */
#define AGENT_MESSAGE_DEFINE(name, type)                                                 \
        static void visit_##name(Codec *codec, void *message)                            \
        {                                                                                \
                codec_##name(codec, message);                                            \
        }                                                                                \
        int agent_##name##_encode(const type *message, void *payload, size_t capacity,   \
                                  size_t *ret_size)                                      \
        {                                                                                \
                return codec_encode(visit_##name, message, payload, capacity, ret_size); \
        }                                                                                \
        int agent_##name##_decode(const void *payload, size_t size, type *ret)           \
        {                                                                                \
                return codec_decode(visit_##name, payload, size, ret, sizeof(*ret));     \
        }                                                                                \
        void agent_##name##_done(type *message)                                          \
        {                                                                                \
                codec_free(visit_##name, message, sizeof(*message));                     \
        }

void codec_container_spec(Codec *codec, AgentContainerSpec *spec);
void codec_limits(Codec *codec, AgentLimits *limits);
void codec_mount(Codec *codec, void *item);
void codec_process_spec(Codec *codec, AgentProcessSpec *spec);
