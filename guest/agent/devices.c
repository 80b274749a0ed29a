/* The devices of a container; see devices.h. */
#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <linux/bpf.h>

#include "base/error.h"
#include "base/fd.h"

#include "agent/devices.h"
#include "agent/disk.h"

#define ANY_MINOR UINT32_MAX

typedef struct Device {
        uint32_t major, minor;
        const char *node; /* NULL: may be used, has no node of ours */
} Device;

/* Numbers: Documentation/admin-guide/devices.txt of Linux. */
static const Device devices[] = {
        {1, 3, "null"},         {1, 5, "zero"}, {1, 7, "full"}, {1, 8, "random"},
        {1, 9, "urandom"},      {5, 0, "tty"},  {5, 1, NULL},   {5, 2, NULL}, /* console, ptmx */
        {136, ANY_MINOR, NULL},                                               /* pts/N */
        {10, 200, NULL},                                                      /* net/tun */
};

static const struct {
        const char *name, *target;
} links[] = {
        {"fd", "/proc/self/fd"},       {"stdin", "/proc/self/fd/0"}, {"stdout", "/proc/self/fd/1"},
        {"stderr", "/proc/self/fd/2"}, {"ptmx", "pts/ptmx"},
};

int devices_make_nodes(int directory)
{
        mode_t mask = umask(0);
        int r = 0;

        for (size_t i = 0; r == 0 && i < ELEMENTSOF(devices); i++)
                if (devices[i].node && mknodat(directory, devices[i].node, S_IFCHR | 0666,
                                               makedev(devices[i].major, devices[i].minor)) < 0)
                        r = errno_neg();
        for (size_t i = 0; r == 0 && i < ELEMENTSOF(links); i++)
                if (symlinkat(links[i].target, directory, links[i].name) < 0)
                        r = errno_neg();
        umask(mask);
        return r;
}

/* So many instructions at most for each device, and the frame. */
#define DISKS_MAX   32
#define CODE_DEVICE 5
#define PROGRAM_MAX (16 + CODE_DEVICE * (ELEMENTSOF(devices) + DISKS_MAX))

typedef struct Program {
        struct bpf_insn code[PROGRAM_MAX];
        unsigned n;
} Program;

static void emit(Program *program, uint8_t code, uint8_t to, uint8_t from, int16_t offset,
                 int32_t value)
{
        program->code[program->n++] = (struct bpf_insn){
                .code = code, .dst_reg = to, .src_reg = from, .off = offset, .imm = value};
}

static void emit_return(Program *program, int allow)
{
        emit(program, BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_0, 0, 0, allow);
        emit(program, BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
}

/* Jumps over the next @skip instructions unless @reg is @value. */
static void emit_skip_unless(Program *program, uint8_t reg, uint32_t value, int16_t skip)
{
        emit(program, BPF_JMP | BPF_JNE | BPF_K, reg, 0, skip, (int32_t)value);
}

static void emit_device(Program *program, uint32_t type, uint32_t major, uint32_t minor)
{
        bool any = minor == ANY_MINOR;

        emit_skip_unless(program, BPF_REG_2, type, any ? 3 : 4);
        emit_skip_unless(program, BPF_REG_4, major, any ? 2 : 3);
        if (!any)
                emit_skip_unless(program, BPF_REG_5, minor, 2);
        emit_return(program, 1);
}

/*
 * struct bpf_cgroup_dev_ctx: access_type is (access << 16) | type. r2: type, r3: access,
 * r4: major, r5: minor.
 */
static void make_program(Program *program, const dev_t *disks, unsigned n_disks)
{
        emit(program, BPF_LDX | BPF_W | BPF_MEM, BPF_REG_2, BPF_REG_1, 0, 0);
        emit(program, BPF_ALU64 | BPF_MOV | BPF_X, BPF_REG_3, BPF_REG_2, 0, 0);
        emit(program, BPF_ALU64 | BPF_RSH | BPF_K, BPF_REG_3, 0, 0, 16);
        emit(program, BPF_ALU64 | BPF_AND | BPF_K, BPF_REG_2, 0, 0, 0xffff);
        emit(program, BPF_LDX | BPF_W | BPF_MEM, BPF_REG_4, BPF_REG_1, 4, 0);
        emit(program, BPF_LDX | BPF_W | BPF_MEM, BPF_REG_5, BPF_REG_1, 8, 0);
        emit_skip_unless(program, BPF_REG_3, BPF_DEVCG_ACC_MKNOD, 2);
        emit_return(program, 1);
        for (size_t i = 0; i < ELEMENTSOF(devices); i++)
                emit_device(program, BPF_DEVCG_DEV_CHAR, devices[i].major, devices[i].minor);
        for (unsigned i = 0; i < n_disks; i++)
                emit_device(program, BPF_DEVCG_DEV_BLOCK, major(disks[i]), minor(disks[i]));
        emit_return(program, 0);
}

/* The program that is attached, or FD_NONE. */
static int attached_program(int cgroup_fd)
{
        union bpf_attr query = {}, get = {};
        uint32_t id = 0;
        int fd;

        query.query.target_fd = (uint32_t)cgroup_fd;
        query.query.attach_type = BPF_CGROUP_DEVICE;
        query.query.prog_ids = (uint64_t)(uintptr_t)&id;
        query.query.prog_cnt = 1;
        if (syscall(SYS_bpf, BPF_PROG_QUERY, &query, sizeof(query)) < 0 || id == 0)
                return FD_NONE;
        get.prog_id = id;
        fd = (int)syscall(SYS_bpf, BPF_PROG_GET_FD_BY_ID, &get, sizeof(get));
        return fd < 0 ? FD_NONE : fd;
}

static int load_program(int cgroup_fd, const Program *program)
{
        _cleanup_(fd_closep) int old = attached_program(cgroup_fd), fd = FD_NONE;
        union bpf_attr load = {}, attach = {};

        load.prog_type = BPF_PROG_TYPE_CGROUP_DEVICE;
        load.insns = (uint64_t)(uintptr_t)program->code;
        load.insn_cnt = program->n;
        load.license = (uint64_t)(uintptr_t) "GPL";
        fd = (int)syscall(SYS_bpf, BPF_PROG_LOAD, &load, sizeof(load));
        if (fd < 0)
                return errno_neg();
        attach.target_fd = (uint32_t)cgroup_fd;
        attach.attach_bpf_fd = (uint32_t)fd;
        attach.attach_type = BPF_CGROUP_DEVICE;
        attach.attach_flags = BPF_F_ALLOW_MULTI;
        if (old >= 0) {
                attach.attach_flags |= BPF_F_REPLACE;
                attach.replace_bpf_fd = (uint32_t)old;
        }
        if (syscall(SYS_bpf, BPF_PROG_ATTACH, &attach, sizeof(attach)) < 0)
                return errno_neg();
        return 0;
}

int devices_restrict(int cgroup_fd, const AgentMount *mounts, uint32_t n_mounts)
{
        dev_t disks[DISKS_MAX];
        Program program = {};
        unsigned n = 0;

        for (uint32_t i = 0; i < n_mounts; i++) {
                int r;

                if (mounts[i].type != AGENT_MOUNT_DEVICE)
                        continue;
                if (n == DISKS_MAX)
                        return -E2BIG;
                r = disk_number(mounts[i].source, &disks[n++]);
                if (r < 0)
                        return r;
        }
        make_program(&program, disks, n);
        return load_program(cgroup_fd, &program);
}
