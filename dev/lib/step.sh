# shellcheck shell=bash
# Long steps: one line when it begins, a sign of life while it lasts, how long it took, and the end
# of its log when it fails.

STEP_LOGS=$UVM_CACHE/log

# step NAME CMD...: runs CMD with its output in a log file. Call it as a plain command: under `if`,
# `&&` or `||` bash would switch off `set -e` inside functions.
step() {
        local name=$1 log ticker rc started=$SECONDS
        shift
        mkdir -p "$STEP_LOGS"
        log=$STEP_LOGS/${name//[^A-Za-z0-9_-]/-}.log
        say "$name … (log: $log)"
        step_tick "$name" &
        ticker=$!
        set +e
        (
                set -e
                "$@"
        ) </dev/null >"$log" 2>&1
        rc=$?
        kill "$ticker" 2>/dev/null
        wait "$ticker" 2>/dev/null
        set -e
        if [ "$rc" -ne 0 ]; then
                say "$name FAILED after $((SECONDS - started)) s; the end of $log:"
                tail -n 40 "$log" | sed 's/^/    /' >&2
                return "$rc"
        fi
        say "$name: $((SECONDS - started)) s"
}

# A line every second on a terminal, every 20 s in a log, until killed or until the script is gone.
step_tick() {
        local name=$1 started=$SECONDS every=20
        [ -t 2 ] && every=1
        trap 'exit 0' TERM
        while kill -0 $$ 2>/dev/null; do
                sleep "$every" >/dev/null 2>&1 &
                wait $!
                if [ -t 2 ]; then
                        printf '    %s: %d s\r' "$name" $((SECONDS - started)) >&2
                else
                        printf '    %s: %d s so far\n' "$name" $((SECONDS - started)) >&2
                fi
        done
}
