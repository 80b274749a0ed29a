# shellcheck shell=bash
# What the lint checks share. A check prints one line `file:line: what is wrong` per finding, exits 1
# when there was any, and 77 when the tool it needs is not there.

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

findings=0

# The tree's files that match the patterns: those git knows or would take, without the deleted ones.
tree_files() {
        local file
        git ls-files -z --cached --others --exclude-standard -- "$@" | LC_ALL=C sort -zu |
                while IFS= read -r -d '' file; do
                        if [ -f "$file" ] && [ ! -L "$file" ]; then
                                printf '%s\n' "$file"
                        fi
                done
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
