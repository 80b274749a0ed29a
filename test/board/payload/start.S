/*
 * The payload's first instructions, in 64-bit mode with RSI at the hand-off block, and the start of
 * further vCPUs from real mode: INIT and SIPI wake them at a page below 1 MiB, where the payload
 * copies [ap_start, ap_end).
 */
        .section .start, "ax"
        .globl  start
start:
        cld
        mov     %rsi, %rdi
        call    payload_main
1:      hlt
        jmp     1b

        .text
        .globl  ap_start, ap_end, ap_page_tables, ap_stack
        .code16
ap_start:
        cli
        xor     %ax, %ax
        mov     %cs, %ax
        mov     %ax, %ds
        lgdtl   ap_gdt_pointer - ap_start
        mov     %cr4, %eax
        or      $0x20, %eax             /* PAE */
        mov     %eax, %cr4
        mov     ap_page_tables - ap_start, %eax
        mov     %eax, %cr3
        mov     $0xc0000080, %ecx       /* EFER */
        rdmsr
        or      $0x100, %eax            /* LME */
        wrmsr
        mov     $0x80000011, %eax       /* PG, ET, PE */
        mov     %eax, %cr0
        ljmpl   *ap_target - ap_start
        .balign 8
ap_gdt:
        .quad   0
        .quad   0x00af9b000000ffff      /* 64-bit code */
        .quad   0x00cf93000000ffff      /* data */
ap_gdt_pointer:
        .word   23
        .long   ap_gdt - ap_start + 0x8000
ap_target:
        .long   ap_long
        .word   8
ap_page_tables:
        .long   0
ap_stack:
        .quad   0
ap_end:
        .code64
ap_long:
        mov     $16, %eax
        mov     %eax, %ds
        mov     %eax, %ss
        mov     0x8000 + ap_stack - ap_start, %rsp
        call    payload_ap_main
1:      hlt
        jmp     1b

        .section .note.GNU-stack, "", @progbits
