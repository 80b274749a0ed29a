# shellcheck shell=bash
# What scenarios share. A scenario is a folder with an executable `run` that begins with
#
#     #!/bin/bash
#     # One sentence: what must be true.
#     . "${0%/*}/../lib.sh"
#
# and runs as root in the test host. It ends 0 when all held, 77 (`skip`) when it could not be tried,
# anything else when something did not hold. What it makes it removes: the runner compares
# listings of the machine from before and after (`leaks`). It waits for conditions, never for time.

set -euo pipefail
shopt -s inherit_errexit

WORK=$(mktemp -d)
trap 'cleanup_all' EXIT
cleanups=()

# on_exit CMD ARG...: run at the end, last first, whatever happened.
on_exit() {
        cleanups+=("$(printf '%q ' "$@")")
}

cleanup_all() {
        local rc=$? i
        set +e
        for ((i = ${#cleanups[@]} - 1; i >= 0; i--)); do
                eval "${cleanups[i]}"
        done
        rm -rf "$WORK"
        exit "$rc"
}

note() {
        printf -- '- %s\n' "$*"
}

fail() {
        printf 'FAILED at %s line %s: %s\n' "${BASH_SOURCE[-1]}" "${BASH_LINENO[-2]}" "$*"
        exit 1
}

skip() {
        printf '%s\n' "$*"
        exit 77
}

# assert_eq ACTUAL EXPECTED [WHAT]
assert_eq() {
        [ "$1" = "$2" ] || fail "${3:-value} is '$1', not '$2'"
}

# assert_match TEXT ERE [WHAT]
assert_match() {
        [[ $1 =~ $2 ]] || fail "${3:-text} '$1' does not match '$2'"
}

# assert_rc CODE CMD ARG...: its exit code; output goes where it goes.
assert_rc() {
        local expected=$1 rc=0
        shift
        "$@" || rc=$?
        [ "$rc" -eq "$expected" ] || fail "'$*' exited $rc, not $expected"
}

# assert_fails ERE CMD ARG...: it exits non-zero and its error output matches.
assert_fails() {
        local pattern=$1 errors
        shift
        if errors=$("$@" 2>&1 >/dev/null </dev/null); then
                fail "'$*' succeeded"
        fi
        [[ $errors =~ $pattern ]] || fail "'$*' said '$errors', which does not match '$pattern'"
}

# wait_until SECONDS CMD ARG...: until CMD succeeds. The limit only bounds a failure.
wait_until() {
        local limit=$1 end=$((SECONDS + $1))
        shift
        until "$@"; do
                [ $SECONDS -lt "$end" ] || fail "not within $limit s: $*"
                sleep 0.05
        done
}

# times N: how often to do what may fail rarely: N, or as much more as dev/soak asks for.
times() {
        echo $(($1 * ${UVM_SOAK:-1}))
}

# The tree of a container with nothing but busybox in it, in directory $1.
busybox_tree() {
        local tree=$1
        mkdir -p "$tree"/{bin,sbin,usr/bin,usr/sbin,etc,dev,proc,sys,run,root,tmp,var/tmp}
        chmod 1777 "$tree/tmp" "$tree/var/tmp"
        cp /bin/busybox "$tree/bin/busybox"
        # One process for all of its links: forks are slow in the emulated host.
        chroot "$tree" /bin/busybox --install -s
        printf 'root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n' >"$tree/etc/passwd"
        printf 'root:x:0:\ntty:x:5:\nnogroup:x:65534:\n' >"$tree/etc/group"
        : >"$tree/etc/hosts"
        : >"$tree/etc/resolv.conf"
        : >"$tree/etc/motd"
}

# The image `busybox`, imported when it is not there yet. It stays: scenarios share it.
need_busybox() {
        if uvmctl image list --format json | jq -e 'any(.Name == "busybox")' >/dev/null; then
                return
        fi
        busybox_tree "$WORK/busybox"
        uvmctl image import busybox "$WORK/busybox"
        rm -rf "$WORK/busybox"
}

# inspect CONTAINER FILTER: a property of it, or of its sandbox: .State, .SandboxProperties.Unit
inspect() {
        uvmctl inspect "$1" | jq -r ".[0]$2"
}

# has CONTAINER FILTER VALUE: for wait_until.
has() {
        [ "$(inspect "$1" "$2")" = "$3" ]
}

# removed_at_end CONTAINER...: those that are still there then.
removed_at_end() {
        on_exit remove "$@"
}

remove() {
        uvmctl rm -f "$@" >/dev/null 2>&1
}

# idle_container NAME [OPTION...]: one that does nothing until it is told to end, or the scenario does.
idle_container() {
        local name=$1
        shift
        removed_at_end "$name"
        uvmctl run -d --name "$name" "$@" busybox \
                sh -c 'trap "exit 0" TERM; sleep 1000000 & wait' >/dev/null
}

# processes_of UNIT PROGRAM: pids in its cgroup of what runs /usr/lib/uvm/PROGRAM.
processes_of() {
        local pid cgroup
        cgroup=/sys/fs/cgroup$(systemctl show -P ControlGroup "$1")
        find "$cgroup" -name cgroup.procs -exec cat {} + | while read -r pid; do
                if [ "$(cat "/proc/$pid/comm")" = "$2" ]; then
                        echo "$pid"
                fi
        done
}

unit_is_gone() {
        [ "$(systemctl show -P LoadState "$1")" = not-found ]
}
