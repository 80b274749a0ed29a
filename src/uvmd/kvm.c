/* Opening /dev/kvm; see kvm.h. */
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <string.h>
#include <sys/ioctl.h>

#include "base/error.h"
#include "base/fd.h"
#include "uvmd/errors.h"
#include "uvmd/kvm.h"

static int kvm_explain(int r, sd_bus_error *error)
{
        if (r == -ENOENT)
                return error_set(error, r, ERROR_NO_KVM,
                                 "There is no /dev/kvm. Load kvm_intel or kvm_amd (modprobe); if "
                                 "that fails, enable virtualization in the firmware setup or, in a "
                                 "virtual machine, nested virtualization on its host.");
        if (r == -ENODEV || r == -ENXIO)
                return error_set(error, r, ERROR_NO_KVM,
                                 "/dev/kvm has no driver. Load kvm_intel or kvm_amd (modprobe) and "
                                 "see dmesg for why it refuses.");
        return error_set(error, r, ERROR_NO_KVM, "Can't open /dev/kvm: %s.", strerror(-r));
}

int kvm_open(int *ret, sd_bus_error *error)
{
        _cleanup_(fd_closep) int fd = open("/dev/kvm", O_RDWR | O_CLOEXEC | O_NOCTTY);
        int version;

        if (fd < 0)
                return kvm_explain(errno_neg(), error);
        version = ioctl(fd, KVM_GET_API_VERSION, 0);
        if (version < 0)
                return kvm_explain(errno_neg(), error);
        if (version != KVM_API_VERSION)
                return error_set(error, -ENOSYS, ERROR_NO_KVM,
                                 "/dev/kvm speaks API %d, but %d is needed: update the kernel.",
                                 version, KVM_API_VERSION);
        *ret = TAKE_FD(fd);
        return 0;
}
