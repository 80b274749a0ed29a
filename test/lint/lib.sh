# shellcheck shell=bash
# What the lint checks share. A check prints one line `file:line: what is wrong` per finding, exits 1
# when there was any, and 77 when the tool it needs is not there.

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

findings=0

# Every file that git knows or would take; without git, every file that is not in a build directory.
all_files() {
        git ls-files -z --cached --others --exclude-standard 2>/dev/null ||
                find . \( -name .git -o -path './build*' \) -prune -o -type f -printf '%P\0'
}

# tree_files PATTERN...: those that match one of the patterns (`*` spans folders), or all.
tree_files() {
        local file pattern
        [ $# -gt 0 ] || set -- '*'
        while IFS= read -r -d '' file; do
                for pattern in "$@"; do
                        # shellcheck disable=SC2053 # a pattern it is
                        if [[ $file == $pattern && -f $file && ! -L $file ]]; then
                                printf '%s\n' "$file"
                                break
                        fi
                done
        done < <(all_files | LC_ALL=C sort -zu)
}

finding() {
        printf '%s\n' "$*"
        findings=$((findings + 1))
}

need_tool() {
        command -v "$1" >/dev/null || {
                echo "$1 is not installed"
                exit 77
        }
}

verdict() {
        [ "$findings" -eq 0 ] || exit 1
}
