# shellcheck shell=bash
# What every script in dev/ starts from: strict mode, where the tree and the cache are, how to
# say things. Progress goes to stderr, so that a script's stdout stays its result.

set -euo pipefail

UVM_ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
UVM_CACHE=${UVM_CACHE:-${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/uvm}
UVM_BUILD=${UVM_BUILD:-$UVM_ROOT/build}
export UVM_ROOT UVM_CACHE UVM_BUILD

say() {
        printf '==> %s\n' "$*" >&2
}

die() {
        printf '%s: %s\n' "${0##*/}" "$*" >&2
        exit 1
}

need_root() {
        [ "$(id -u)" -eq 0 ] || die "$1 needs root"
}
