/* The stub's head (image.h), its first instructions and its page tables. */

        .section .image, "aw"
        .globl  stub_image
stub_image:
        .ascii  "uVM-STUB"
        .long   1
        .long   stub_memory_size
        .quad   stub_base
        .quad   stub_entry
        .quad   page_map
        .quad   stub_stack
        .quad   handoff_block
        .zero   1112 - 56

        /* 64-bit mode, interrupts off, RSI = hand-off block: see proto/firmware.h. */
        .section .text
        .globl  stub_entry
stub_entry:
        mov     %rsi, %rdi
        xor     %ebp, %ebp
        call    stub_main
        /* RSI = boot parameters: Documentation/x86/boot.rst, "64-bit boot protocol". */
        mov     stub_image + 56, %rax
        mov     $boot_params, %esi
        jmp     *%rax

        /*
         * Identity mapping by 2 MiB pages of the first GiB and of the local APIC: present, writable
         * (3), large (0x80), uncached (0x10).
         */
        .section .pagetables, "aw"
        .balign 4096
page_map:
        .quad   page_directories + 3
        .zero   511 * 8
page_directories:
        .quad   page_directory + 3
        .zero   2 * 8
        .quad   page_directory_top + 3
        .zero   508 * 8
page_directory:
        .set    page, 0
        .rept   512
        .quad   (page << 21) + 0x83
        .set    page, page + 1
        .endr
page_directory_top:
        .zero   503 * 8
        .quad   0xfee00000 + 0x93
        .zero   8 * 8

        .section .note.GNU-stack, "", @progbits
