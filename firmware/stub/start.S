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

        /* Identity mapping of the first GiB by 2 MiB pages: present, writable (3), large (0x80). */
        .section .pagetables, "aw"
        .balign 4096
page_map:
        .quad   page_directories + 3
        .zero   511 * 8
page_directories:
        .quad   page_directory + 3
        .zero   511 * 8
page_directory:
        .set    page, 0
        .rept   512
        .quad   (page << 21) + 0x83
        .set    page, page + 1
        .endr

        .section .note.GNU-stack, "", @progbits
