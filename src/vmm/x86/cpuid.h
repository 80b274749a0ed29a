/* What CPUID tells a guest. */
#pragma once

#include "vmm/kvm/vm.h"

/*
 * Gives vCPU @id what KVM supports, shaped for this board: a package of @max_vcpus single-thread
 * cores, a TSC deadline timer that never stops, KVM's clock. 0 or -errno (-ENOSPC: more leaves than
 * we have room for).
 */
int x86_cpuid_set(KvmVm *vm, KvmVcpu *vcpu, unsigned id, unsigned max_vcpus);
