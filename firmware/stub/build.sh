#!/bin/sh
# Compiles and links the stub: build.sh SOURCE-ROOT BLOB-OBJECT STUB-BIN CC...
# The stub is freestanding 64-bit code at fixed addresses: none of the flags of the rest apply. The
# second output is the same bytes as an object with the symbols stub_binary and stub_binary_end.
set -eu

root=$1 blob=$2 binary=$3
shift 3
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

for source in start.S main.c bootparams.c cmdline.c mptable.c pic.c string.c; do
        "$@" -c -std=gnu17 -Os -m64 -ffreestanding -fno-builtin -fno-pic -fno-pie \
                -mgeneral-regs-only -mno-red-zone -fno-stack-protector -fcf-protection=none \
                -fno-asynchronous-unwind-tables -fno-strict-aliasing \
                -Wall -Wextra -Wshadow -Wmissing-prototypes -Werror \
                -I "$root/src" -I "$root/firmware" \
                -o "$work/$source.o" "$root/firmware/stub/$source"
done
ld -nostdlib -static --no-warn-rwx-segments -z noexecstack -T "$root/firmware/stub/layout.ld" \
        -o "$work/stub.elf" "$work"/*.o
objcopy -O binary "$work/stub.elf" "$binary"
cat >"$work/blob.S" <<END
        .section .rodata
        .globl stub_binary, stub_binary_end
        .hidden stub_binary, stub_binary_end
stub_binary:
        .incbin "$binary"
stub_binary_end:
        .section .note.GNU-stack, "", @progbits
END
"$@" -c -o "$blob" "$work/blob.S"
