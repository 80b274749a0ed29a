/* Set-id bits of files whose data changes; see set_id.h. */
#include <assert.h>
#include <fcntl.h>

#include "vmm/p9/set_id.h"

#define P9_SET_ID_BITS ((uint32_t)(S_ISUID | S_ISGID))

bool p9_set_id_is_on(const P9Node *node)
{
        return S_ISREG(node->mode) && (node->mode & P9_SET_ID_BITS);
}

bool p9_set_id_begin(P9Node *node, int fd)
{
        struct statx st;

        if (!p9_set_id_is_on(node))
                return false;
        /* Several writes may be in flight: the first to begin sees what all have to keep. */
        if (node->n_set_id == 0) {
                if (p9_fd_stat(fd, &st) < 0)
                        return false;
                node->set_id = st.stx_mode & node->mode & P9_SET_ID_BITS;
        }
        node->n_set_id++;
        return true;
}

void p9_set_id_end(P9Node *node, int fd)
{
        char name[P9_PROC_NAME_SIZE];
        struct statx st;

        assert(node->n_set_id > 0);
        node->n_set_id--;
        if (node->set_id == 0 || p9_fd_stat(fd, &st) < 0 || !(node->set_id & ~st.stx_mode))
                return;
        p9_proc_name(fd, name);
        /* The data is written: a mode that can't be restored is no failure of that. */
        (void)!fchmodat(node->tree->proc_fd, name, (st.stx_mode & 07777) | node->set_id, 0);
}

void p9_set_id_note(P9Node *node, uint32_t mode)
{
        node->mode = (node->mode & S_IFMT) | (mode & 07777);
        node->set_id &= mode;
}
