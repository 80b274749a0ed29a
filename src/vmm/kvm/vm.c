/* One KVM virtual machine; see vm.h. */
#include <assert.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/error.h"
#include "base/fd.h"
#include "vmm/kvm/vm.h"

int kvm_ioctl(int fd, unsigned long request, void *argument)
{
        int r = ioctl(fd, request, argument);

        return r < 0 ? errno_neg() : r;
}

int kvm_ioctl_value(int fd, unsigned long request, unsigned long value)
{
        int r = ioctl(fd, request, value);

        return r < 0 ? errno_neg() : r;
}

static int kvm_check(int kvm_fd, const char **ret_lacks)
{
        static const struct {
                unsigned long capability;
                const char *name;
        } needed[] = {
                {KVM_CAP_IRQCHIP, "an in-kernel interrupt controller"},
                {KVM_CAP_IRQFD, "irqfd"},
                {KVM_CAP_IOEVENTFD, "ioeventfd"},
                {KVM_CAP_USER_MEMORY, "user memory"},
                {KVM_CAP_IMMEDIATE_EXIT, "immediate_exit"},
        };
        int r = kvm_ioctl_value(kvm_fd, KVM_GET_API_VERSION, 0);

        if (r < 0)
                return r;
        if (r != KVM_API)
                return -EOPNOTSUPP;
        for (size_t i = 0; i < ELEMENTSOF(needed); i++) {
                if (kvm_ioctl_value(kvm_fd, KVM_CHECK_EXTENSION, needed[i].capability) <= 0) {
                        *ret_lacks = needed[i].name;
                        return -EOPNOTSUPP;
                }
        }
        return 0;
}

int kvm_vm_open(KvmVm *vm, int kvm_fd, const char **ret_lacks)
{
        int r;

        *vm = (KvmVm){.kvm_fd = kvm_fd, .vm_fd = FD_NONE};
        for (unsigned i = 0; i < KVM_LINES; i++)
                pthread_mutex_init(&vm->lines[i], NULL);
        *ret_lacks = NULL;
        r = kvm_check(kvm_fd, ret_lacks);
        if (r < 0)
                return r;
        vm->run_size = kvm_ioctl_value(kvm_fd, KVM_GET_VCPU_MMAP_SIZE, 0);
        if (vm->run_size < 0)
                return vm->run_size;
        do {
                vm->vm_fd = kvm_ioctl_value(kvm_fd, KVM_CREATE_VM, 0);
        } while (vm->vm_fd == -EINTR);
        return vm->vm_fd < 0 ? vm->vm_fd : 0;
}

void kvm_vm_close(KvmVm *vm)
{
        vm->vm_fd = fd_close(vm->vm_fd);
        vm->kvm_fd = fd_close(vm->kvm_fd);
}

/* KVM's memory slots: one for each region of the guest's memory, and behind them: */
enum {
        KVM_SLOT_HOT = GUEST_MEMORY_REGIONS_MAX,
        KVM_SLOT_PAGE,
};

static int kvm_vm_map_slot(KvmVm *vm, unsigned index, uint64_t start, uint64_t size,
                           const void *host)
{
        struct kvm_userspace_memory_region slot = {
                .slot = index,
                .guest_phys_addr = start,
                .memory_size = size,
                .userspace_addr = (uintptr_t)host,
        };

        return kvm_ioctl(vm->vm_fd, KVM_SET_USER_MEMORY_REGION, &slot);
}

int kvm_vm_map(KvmVm *vm, const GuestMemory *memory)
{
        for (unsigned i = 0; i < memory->n_regions; i++) {
                const GuestRegion *region = &memory->regions[i];
                int r = kvm_vm_map_slot(vm, i, region->start, region->size, region->host);

                if (r < 0)
                        return r;
        }
        return 0;
}

int kvm_vm_map_hot(KvmVm *vm, const HotMemory *hot)
{
        int r;

        if (vm->has_hot)
                return 0;
        r = kvm_vm_map_slot(vm, KVM_SLOT_HOT, hot->start, hot->size, hot->host);
        vm->has_hot = r == 0;
        return r;
}

int kvm_vm_map_page(KvmVm *vm, uint64_t address, const void *host)
{
        return kvm_vm_map_slot(vm, KVM_SLOT_PAGE, address, KVM_PAGE_SIZE, host);
}

int kvm_vm_raise(KvmVm *vm, uint32_t gsi)
{
        struct kvm_irq_level line = {.irq = gsi, .level = 1};
        int r;

        assert(gsi < KVM_LINES);
        pthread_mutex_lock(&vm->lines[gsi]);
        r = kvm_ioctl(vm->vm_fd, KVM_IRQ_LINE, &line);
        line.level = 0;
        if (r == 0)
                r = kvm_ioctl(vm->vm_fd, KVM_IRQ_LINE, &line);
        pthread_mutex_unlock(&vm->lines[gsi]);
        return r;
}

int kvm_vm_irqfd(KvmVm *vm, uint32_t gsi, int event_fd, bool assign)
{
        struct kvm_irqfd irqfd = {
                .fd = (uint32_t)event_fd,
                .gsi = gsi,
                .flags = assign ? 0 : KVM_IRQFD_FLAG_DEASSIGN,
        };

        return kvm_ioctl(vm->vm_fd, KVM_IRQFD, &irqfd);
}

int kvm_vm_ioeventfd(KvmVm *vm, uint64_t address, uint32_t value, int event_fd, bool assign)
{
        struct kvm_ioeventfd event = {
                .datamatch = value,
                .addr = address,
                .len = 4,
                .fd = event_fd,
                .flags = KVM_IOEVENTFD_FLAG_DATAMATCH | (assign ? 0 : KVM_IOEVENTFD_FLAG_DEASSIGN),
        };

        return kvm_ioctl(vm->vm_fd, KVM_IOEVENTFD, &event);
}

int kvm_vcpu_open(KvmVm *vm, unsigned id, KvmVcpu *ret)
{
        KvmVcpu vcpu = {.fd = FD_NONE, .run_size = vm->run_size};
        int r;

        vcpu.fd = kvm_ioctl_value(vm->vm_fd, KVM_CREATE_VCPU, id);
        if (vcpu.fd < 0)
                return vcpu.fd;
        vcpu.run = mmap(NULL, (size_t)vcpu.run_size, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu.fd,
                        0);
        if (vcpu.run == MAP_FAILED) {
                r = errno_neg();
                fd_close(vcpu.fd);
                return r;
        }
        *ret = vcpu;
        return 0;
}

void kvm_vcpu_close(KvmVcpu *vcpu)
{
        if (vcpu->run)
                munmap(vcpu->run, (size_t)vcpu->run_size);
        vcpu->run = NULL;
        vcpu->fd = fd_close(vcpu->fd);
}

/* Documentation/virt/kvm/api.rst, 4.131: a header, then descriptors with their names behind. */
static int stats_find(int fd, const char *name, uint64_t *ret_offset)
{
        struct kvm_stats_header header;
        uint8_t entry[sizeof(struct kvm_stats_desc) + 256];

        if (pread(fd, &header, sizeof(header), 0) != sizeof(header))
                return -EIO;
        size_t entry_size = sizeof(struct kvm_stats_desc) + header.name_size;

        if (entry_size > sizeof(entry))
                return -EOPNOTSUPP;
        for (uint32_t i = 0; i < header.num_desc; i++) {
                struct kvm_stats_desc description;

                if (pread(fd, entry, entry_size, header.desc_offset + i * entry_size) !=
                    (ssize_t)entry_size)
                        return -EIO;
                memcpy(&description, entry, sizeof(description));
                entry[entry_size - 1] = 0;
                if (strcmp((const char *)entry + sizeof(description), name) == 0) {
                        *ret_offset = header.data_offset + description.offset;
                        return 0;
                }
        }
        return -EOPNOTSUPP;
}

int kvm_vcpu_stats_open(const KvmVcpu *vcpu)
{
        return kvm_ioctl_value(vcpu->fd, KVM_GET_STATS_FD, 0);
}

int kvm_stats_read(int stats_fd, const char *name, uint64_t *ret)
{
        uint64_t offset, value;
        int r = stats_find(stats_fd, name, &offset);

        if (r < 0)
                return r;
        if (pread(stats_fd, &value, sizeof(value), (off_t)offset) != sizeof(value))
                return -EIO;
        *ret = value;
        return 0;
}
