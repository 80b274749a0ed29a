# shellcheck shell=bash
# Building the tree: packages, guest kernel, meson, ninja. Needs common, step, cache and packages.

# build_tree DIR [MESON-OPTION...]: configures DIR when it is new or its options changed, and builds.
# A warning is an error where CI is set.
build_tree() {
        local dir=$1 options kernel
        shift
        packages_ensure build kernel
        kernel=$("$UVM_ROOT/guest/kernel/build")
        options=("-Dkernel=$kernel" "-Dwerror=$([ -n "${CI:-}" ] && echo true || echo false)" "$@")
        if [ ! -f "$dir/build.ninja" ]; then
                step "configure" meson setup "$dir" "$UVM_ROOT" "${options[@]}"
        elif [ "$(cat "$dir/uvm-options" 2>/dev/null)" != "${options[*]}" ]; then
                step "configure" meson configure "$dir" "${options[@]}"
        fi
        printf '%s\n' "${options[*]}" >"$dir/uvm-options"
        step "build" ninja -C "$dir"
}
