# shellcheck shell=bash
# Guests of busybox and our test programs, for both monitors, in the test host's /root/posix. For
# scenarios that run outside.
set -euo pipefail
here=$(dirname "$(realpath "${BASH_SOURCE[0]}")")
work=$(mktemp -d)
trap 'rm -rf "$work"; dev/host run -n "rm -rf /root/posix"' EXIT

# send_guests FILE...: what guests.py needs, and the files named.
send_guests() {
        local files=$work/files programs=$UVM_BUILD/test/posix kernel
        kernel=$(guest/kernel/build)
        mkdir -p "$files" "$work"/root/{bin,proc,sys,dev,mnt,other}
        # The test host has the static busybox.
        dev/host get /bin/busybox "$work/root/bin/busybox"
        cp "$here/guest-init" "$work/root/init"
        cp "$programs/posix" "$programs/fsmodel" "$work/root/bin/"
        chmod 755 "$work"/root/init "$work"/root/bin/*
        (cd "$work/root" && find . | cpio -o -H newc 2>/dev/null) >"$files/initrd"
        "$UVM_BUILD/firmware/uvm-mkfw" -k "$kernel" -i "$files/initrd" -o "$files/posix.fw"
        "$UVM_BUILD/firmware/uvm-mkfw" --show "$files/posix.fw" --format json |
                jq -r .cmdline >"$files/cmdline"
        cp "$kernel" "$files/vmlinux"
        cp "$UVM_BUILD/test/tools/vmmrun" "$UVM_BUILD/src/vmm/uvm-vmm" "$programs/posix" \
                "$here/guests.py" "$@" "$files/"
        dev/host run -n 'rm -rf /root/posix'
        dev/host put "$files" /root/posix
}
