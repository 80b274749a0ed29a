# shellcheck shell=bash
# A cache keyed by content: what is built from the same inputs is built once. An entry is a
# directory that appears whole or not at all, so that an interrupted build leaves nothing to trust.

# cache_key ITEM...: a hash of the names and contents of files, of trees, and of words ("=word").
cache_key() {
        local item
        for item in "$@"; do
                case $item in
                =*) printf '%s\n' "$item" ;;
                *) (cd "$UVM_ROOT" && find "$item" -type f ! -name '*.pyc' -print0 | LC_ALL=C sort -z |
                        xargs -0r sha256sum -- && find "$item" -perm /111 -type f | LC_ALL=C sort) ;;
                esac
        done | sha256sum | cut -c1-16
}

# cache_entry KIND KEY BUILDER: prints the entry's directory. When it is missing, calls
# `BUILDER DIR` to fill a new one, under a lock: a second caller waits and finds it ready.
cache_entry() {
        local dir=$UVM_CACHE/$1/$2 builder=$3 new
        if [ ! -d "$dir" ]; then
                mkdir -p "$UVM_CACHE/$1"
                exec {cache_lock}>"$UVM_CACHE/$1/.lock"
                flock "$cache_lock"
                if [ ! -d "$dir" ]; then
                        new=$dir.new
                        rm -rf "$new"
                        mkdir "$new"
                        "$builder" "$new" >&2
                        mv "$new" "$dir"
                fi
                exec {cache_lock}>&-
        fi
        printf '%s\n' "$dir"
}
