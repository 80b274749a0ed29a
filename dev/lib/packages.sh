# shellcheck shell=bash
# The Debian packages that each purpose needs, and nothing else decides it. Installing is apt's work
# and only of what is missing.

# package_list PURPOSE: prints names, one a line.
package_list() {
        case $1 in
        build)
                echo gcc clang libc6-dev libclang-rt-dev meson ninja-build pkg-config git python3 \
                        libsystemd-dev libseccomp-dev libjson-c-dev libarchive-dev \
                        libnl-3-dev libnl-route-3-dev uthash-dev musl-tools linux-libc-dev ;;
        kernel)
                echo linux-source-6.1 gcc make patch flex bison bc libelf-dev libssl-dev cpio rsync kmod \
                        xz-utils lz4 ;;
        testhost)
                echo mmdebstrap e2fsprogs cpio kmod busybox-static gcc libc6-dev python3 xz-utils \
                        qemu-system-x86 qemu-utils debian-archive-keyring binutils ;;
        lint)
                echo clang-format shellcheck binutils libxml2-utils mandoc ;;
        agent)
                echo busybox-static python3 ;;
        fuzz)
                echo clang llvm libclang-rt-dev jq ;;
        debug)
                echo valgrind strace ;;
        *) die "no package list for '$1'" ;;
        esac | tr -s ' ' '\n'
}

# packages_missing PURPOSE...: prints those that are not installed.
packages_missing() {
        local purpose
        LC_ALL=C comm -23 \
                <(for purpose in "$@"; do package_list "$purpose"; done | LC_ALL=C sort -u) \
                <(dpkg-query -W -f '${Package} ${db:Status-Status}\n' |
                        sed -n 's/ installed$//p' | LC_ALL=C sort -u)
}

# packages_ensure PURPOSE...: installs what is missing. Needs root only then.
packages_ensure() {
        local missing
        mapfile -t missing < <(packages_missing "$@")
        if [ ${#missing[@]} -eq 0 ]; then
                return 0
        fi
        need_root "installing ${missing[*]}"
        step "packages (${#missing[@]} missing)" packages_install "${missing[@]}"
}

packages_install() {
        export DEBIAN_FRONTEND=noninteractive
        apt-get -o DPkg::Lock::Timeout=300 update
        apt-get -o DPkg::Lock::Timeout=300 -y --no-install-recommends install "$@"
}
