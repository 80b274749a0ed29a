/* /dev/kvm: opened by uvmd for each sandbox, with errors that say what to do. */
#pragma once

#include <systemd/sd-bus.h>

/* 0, or -errno with @error set to NoKvm. */
int kvm_open(int *ret, sd_bus_error *error);
