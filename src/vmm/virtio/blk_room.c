/* Requests that wait for room on the host; see blk_room.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "vmm/virtio/blk_room.h"

#define BLK_ROOM_TRY_USEC USEC_PER_SEC

/* A guest that has room now and then writes a line so often. */
#define BLK_ROOM_TELL_USEC (60 * USEC_PER_SEC)

void blk_room_init(BlkRoom *room, Loop *loop, Pool *pool, const char *serial)
{
        *room = (BlkRoom){.loop = loop, .pool = pool, .serial = serial};
        list_init(&room->jobs);
}

bool blk_room_lacks(const BlkJob *job)
{
        if (job->result != -ENOSPC && job->result != -EDQUOT)
                return false;
        switch (job->request.type) {
        case BLK_OUT:
        case BLK_DISCARD: /* a hole may need a block for its extents */
        case BLK_WRITE_ZEROES:
                return true;
        case BLK_IN:
        case BLK_FLUSH: /* what was lost is lost: disk_flush() */
        case BLK_GET_ID:
                break;
        }
        return false;
}

static void blk_room_tell(BlkRoom *room, const BlkJob *job)
{
        uint64_t now = clock_now_usec();

        if (room->is_told || (room->told_usec > 0 && now - room->told_usec < BLK_ROOM_TELL_USEC))
                return;
        room->is_told = true;
        room->told_usec = now;
        log_warning_errno(job->result,
                          "disk %s: the host has no room for what the guest writes, "
                          "which waits until there is",
                          room->serial);
}

static int blk_room_on_timer(LoopTimer *timer);

static void blk_room_arm(BlkRoom *room)
{
        if (!room->timer.loop)
                loop_timer_arm(room->loop, &room->timer, clock_now_usec() + BLK_ROOM_TRY_USEC,
                               blk_room_on_timer);
}

static int blk_room_on_timer(LoopTimer *timer)
{
        BlkRoom *room = CONTAINER_OF(timer, BlkRoom, timer);

        list_for_each (item, &room->jobs) {
                BlkJob *job = LIST_ENTRY(item, BlkJob, link);

                if (job->is_tried)
                        continue;
                job->is_tried = pool_submit(room->pool, &job->job) == 0;
                if (!job->is_tried)
                        blk_room_arm(room);
        }
        return 0;
}

bool blk_room_add(BlkRoom *room, const BlkJob *job)
{
        size_t spans = job->cursor.n_spans * sizeof(job->spans[0]);
        BlkJob *copy = malloc(sizeof(*copy));

        if (!copy)
                return false;
        memcpy(copy, job, offsetof(BlkJob, spans));
        memcpy(copy->spans, job->cursor.spans, spans);
        copy->cursor.spans = copy->spans;
        copy->is_tried = false;
        copy->job.link = copy->link = (List){};
        list_append(&room->jobs, &copy->link);
        room->n_jobs++;
        blk_room_tell(room, job);
        blk_room_arm(room);
        return true;
}

bool blk_room_waits_on(BlkRoom *room, BlkJob *job)
{
        job->is_tried = false;
        if (!blk_room_lacks(job))
                return false;
        blk_room_arm(room);
        return true;
}

void blk_room_remove(BlkRoom *room, BlkJob *job)
{
        list_remove(&job->link);
        free(job);
        if (--room->n_jobs > 0)
                return;
        loop_timer_cancel(&room->timer);
        if (room->is_told)
                log_info("disk %s: nothing waits for room any more", room->serial);
        room->is_told = false;
}
