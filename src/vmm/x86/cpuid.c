/* What CPUID tells a guest; see cpuid.h. Bits: Intel SDM vol. 2 "CPUID", AMD APM vol. 3 appendix E. */
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "vmm/x86/cpuid.h"

#define CPUID_LEAVES_MAX 256

#define BIT(n) (1U << (n))

/* Bits needed for the numbers 0 to @n - 1. */
static unsigned bits_for(unsigned n)
{
        unsigned bits = 0;

        while ((1U << bits) < n)
                bits++;
        return bits;
}

static void set_field(uint32_t *value, unsigned low, unsigned width, uint32_t field)
{
        uint32_t mask = ((1U << width) - 1) << low;

        *value = (*value & ~mask) | (field << low & mask);
}

static void shape_features(struct kvm_cpuid_entry2 *leaf, unsigned id, unsigned max_vcpus)
{
        /*
         * The TSC deadline timer saves the guest 250 ms of timer calibration; KVM emulates it
         * everywhere but does not list it here.
         */
        leaf->ecx |= BIT(24) | BIT(21) /* x2APIC */ | BIT(31) /* a hypervisor is present */;
        set_field(&leaf->ebx, 24, 8, id);
        set_field(&leaf->ebx, 16, 8, 1U << bits_for(max_vcpus));
        if (max_vcpus > 1)
                leaf->edx |= BIT(28);
        else
                leaf->edx &= ~BIT(28);
}

/* Levels 1 and 2 belong to a core, the last level to the package. */
static void shape_cache(struct kvm_cpuid_entry2 *leaf, unsigned max_vcpus)
{
        unsigned level = leaf->eax >> 5 & 7;

        if ((leaf->eax & 0x1f) == 0)
                return;
        set_field(&leaf->eax, 14, 12, level >= 3 ? max_vcpus - 1 : 0);
        if (leaf->function == 4)
                set_field(&leaf->eax, 26, 6, MIN(max_vcpus - 1, 63U));
}

/* One thread a core (level 0), all cores in one package (level 1). */
static void shape_topology(struct kvm_cpuid_entry2 *leaf, unsigned id, unsigned max_vcpus)
{
        leaf->eax = leaf->ebx = leaf->ecx = 0;
        leaf->edx = id;
        if (leaf->index == 0) {
                leaf->ebx = 1;
                leaf->ecx = 1U << 8;
        } else if (leaf->index == 1) {
                leaf->eax = bits_for(max_vcpus);
                leaf->ebx = max_vcpus;
                leaf->ecx = 2U << 8 | 1;
        } else {
                leaf->ecx = leaf->index;
        }
}

static void shape_leaf(struct kvm_cpuid_entry2 *leaf, unsigned id, unsigned max_vcpus)
{
        switch (leaf->function) {
        case 0x1:
                shape_features(leaf, id, max_vcpus);
                break;
        case 0x4:
        case 0x8000001d:
                shape_cache(leaf, max_vcpus);
                break;
        case 0x6:
                /* ARAT: the APIC timer runs in all sleep states; nothing else of power. */
                *leaf = (struct kvm_cpuid_entry2){.function = 6, .eax = BIT(2)};
                break;
        case 0xb:
        case 0x1f:
                shape_topology(leaf, id, max_vcpus);
                break;
        case 0x80000008:
                leaf->ecx = bits_for(max_vcpus) << 12 | (max_vcpus - 1);
                break;
        case 0x8000001e:
                leaf->eax = id;
                leaf->ebx = id;
                leaf->ecx = 0;
                break;
        }
}

int x86_cpuid_set(KvmVm *vm, KvmVcpu *vcpu, unsigned id, unsigned max_vcpus)
{
        _cleanup_(freep) struct kvm_cpuid2 *cpuid = NULL;
        bool has_power = false;
        int r;

        cpuid = calloc(1, sizeof(*cpuid) + CPUID_LEAVES_MAX * sizeof(cpuid->entries[0]));
        if (!cpuid)
                return -ENOMEM;
        cpuid->nent = CPUID_LEAVES_MAX - 1; /* room for leaf 6 */
        r = kvm_ioctl(vm->kvm_fd, KVM_GET_SUPPORTED_CPUID, cpuid);
        if (r < 0)
                return r == -E2BIG ? -ENOSPC : r;
        for (unsigned i = 0; i < cpuid->nent; i++) {
                has_power |= cpuid->entries[i].function == 6;
                shape_leaf(&cpuid->entries[i], id, max_vcpus);
        }
        if (!has_power)
                cpuid->entries[cpuid->nent++] = (struct kvm_cpuid_entry2){.function = 6,
                                                                          .eax = BIT(2)};
        return kvm_ioctl(vcpu->fd, KVM_SET_CPUID2, cpuid);
}
