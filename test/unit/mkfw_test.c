/* Kernels good and bad, and the image that comes of them. */
#include <elf.h>
#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include "mkfw/elf.h"
#include "mkfw/file.h"
#include "mkfw/layout.h"
#include "stub/image.h"
#include "test/unit.h"

/* A vmlinux in small: two parts, the second with zeros behind it. */
typedef struct Kernel {
        Elf64_Ehdr header;
        Elf64_Phdr parts[3];
        uint8_t bytes[0x3000];
} Kernel;

static Kernel kernel_example(void)
{
        Kernel kernel = {
                .header = {.e_type = ET_EXEC,
                           .e_machine = EM_X86_64,
                           .e_entry = 0x200000,
                           .e_phoff = offsetof(Kernel, parts),
                           .e_phentsize = sizeof(Elf64_Phdr),
                           .e_phnum = 3},
                .parts = {{.p_type = PT_LOAD,
                           .p_offset = offsetof(Kernel, bytes),
                           .p_vaddr = 0xffffffff80200000,
                           .p_paddr = 0x200000,
                           .p_filesz = 0x1001,
                           .p_memsz = 0x1001},
                          {.p_type = PT_NOTE, .p_offset = UINT64_MAX, .p_filesz = UINT64_MAX},
                          {.p_type = PT_LOAD,
                           .p_offset = offsetof(Kernel, bytes) + 0x2000,
                           .p_vaddr = 0xffffffff80203000,
                           .p_paddr = 0x203000,
                           .p_filesz = 0x1000,
                           .p_memsz = 0x4567}},
        };
        memcpy(kernel.header.e_ident, ELFMAG, SELFMAG);
        kernel.header.e_ident[EI_CLASS] = ELFCLASS64;
        kernel.header.e_ident[EI_DATA] = ELFDATA2LSB;
        strcpy((char *)kernel.bytes, "Linux version 6.1.0-test (someone@somewhere)");
        kernel.bytes[0x2000] = 0x77;
        return kernel;
}

static int decode(const Kernel *kernel)
{
        ElfKernel decoded;

        return elf_decode(kernel, sizeof(*kernel), &decoded);
}

static void test_elf(void)
{
        Kernel kernel = kernel_example();
        ElfKernel decoded;

        unit_assert_int(elf_decode(&kernel, sizeof(kernel), &decoded), 0);
        unit_assert_int(decoded.entry, 0x200000);
        unit_assert_int(decoded.n_loads, 2);
        unit_assert_int(decoded.loads[0].gpa, 0x200000);
        unit_assert_int(decoded.loads[1].offset, offsetof(Kernel, bytes) + 0x2000);
        unit_assert_int(decoded.loads[1].memory_size, 0x4567);
        kernel.header.e_entry = 0xffffffff80203010; /* a virtual address */
        unit_assert_int(elf_decode(&kernel, sizeof(kernel), &decoded), 0);
        unit_assert_int(decoded.entry, 0x203010);
}

static void test_elf_headers(void)
{
        Kernel kernel = kernel_example();

        unit_assert_int(elf_decode(&kernel, 0, &(ElfKernel){}), ELF_E_MAGIC);
        unit_assert_int(elf_decode(&kernel, 40, &(ElfKernel){}), ELF_E_HEADERS);
        unit_assert_int(elf_decode(&kernel, 64, &(ElfKernel){}), ELF_E_HEADERS);
        kernel.header.e_ident[0] = 'M';
        unit_assert_int(decode(&kernel), ELF_E_MAGIC);
        memcpy((uint8_t *)&kernel + 0x202, "HdrS", 4);
        unit_assert_int(decode(&kernel), ELF_E_BZIMAGE);
        kernel = kernel_example(), kernel.header.e_machine = EM_AARCH64;
        unit_assert_int(decode(&kernel), ELF_E_KIND);
        kernel = kernel_example(), kernel.header.e_ident[EI_CLASS] = ELFCLASS32;
        unit_assert_int(decode(&kernel), ELF_E_KIND);
        kernel = kernel_example(), kernel.header.e_phoff = UINT64_MAX;
        unit_assert_int(decode(&kernel), ELF_E_HEADERS);
        kernel = kernel_example(), kernel.header.e_phnum = UINT16_MAX;
        unit_assert_int(decode(&kernel), ELF_E_HEADERS);
        kernel = kernel_example(), kernel.header.e_phentsize = 1;
        unit_assert_int(decode(&kernel), ELF_E_HEADERS);
        kernel = kernel_example(), kernel.header.e_phnum = 0;
        unit_assert_int(decode(&kernel), ELF_E_LOADS);
        kernel = kernel_example(), kernel.header.e_entry = 0x1000;
        unit_assert_int(decode(&kernel), ELF_E_ENTRY);
}

static void test_elf_parts(void)
{
        Kernel kernel;

        kernel = kernel_example(), kernel.parts[0].p_offset = sizeof(kernel) - 0x1000;
        unit_assert_int(decode(&kernel), ELF_E_SEGMENT);
        kernel = kernel_example(), kernel.parts[0].p_offset = UINT64_MAX;
        unit_assert_int(decode(&kernel), ELF_E_SEGMENT);
        kernel = kernel_example(), kernel.parts[0].p_memsz = 0x1000;
        unit_assert_int(decode(&kernel), ELF_E_SEGMENT);
        kernel = kernel_example(), kernel.parts[0].p_paddr++;
        unit_assert_int(decode(&kernel), ELF_E_ALIGNMENT);
        kernel = kernel_example(), kernel.parts[2].p_memsz = 0;
        unit_assert_int(decode(&kernel), 0);
        for (int i = 1; i < ELF_E_MAX_; i++)
                unit_assert(strcmp(elf_strerror(i), "unknown error") != 0);
        unit_assert_string(elf_strerror(0), "unknown error");
}

static uint8_t stub_bytes[0x2000];

static LayoutInput input_example(const Kernel *kernel)
{
        static const StubImage stub = {
                .version = STUB_VERSION,
                .memory_size = 0x4000,
                .base = 0x2000,
                .entry = 0x2600,
                .cr3 = 0x3000,
                .stack = 0x6000,
                .handoff = 0x1000,
        };

        memcpy(stub_bytes, &stub, sizeof(stub));
        memcpy(stub_bytes, STUB_MAGIC, 8);
        return (LayoutInput){
                .stub = stub_bytes,
                .stub_size = sizeof(stub_bytes),
                .kernel = (const uint8_t *)kernel,
                .kernel_size = sizeof(*kernel),
                .initrd = (const uint8_t *)"070701",
                .initrd_size = 6,
        };
}

static void test_layout(void)
{
        const Kernel kernel = kernel_example();
        const LayoutInput input = input_example(&kernel);
        const FirmwareSegment *segments;
        Layout layout;
        Firmware firmware;
        StubImage stub;
        int detail = 0;

        unit_assert_int(layout_make(&input, &layout, &detail), 0);
        unit_assert_int(firmware_decode(layout.header, sizeof(layout.header),
                                        layout.firmware.image_size, &firmware),
                        0);
        unit_assert_int(firmware.entry, 0x2600);
        unit_assert_string(firmware.label, "Linux 6.1.0-test");
        unit_assert_string(firmware.cmdline, LAYOUT_CMDLINE);
        unit_assert_int(firmware.n_segments, 4);
        segments = firmware.segments;
        unit_assert_int(segments[0].gpa, 0x2000);
        unit_assert_int(segments[0].offset, 0x1000);
        unit_assert_int(segments[1].offset, 0x3000);
        unit_assert_int(segments[2].offset, 0x5000);
        unit_assert_int(segments[2].memory_size, 0x4567);
        unit_assert_int(segments[3].gpa, 0x208000); /* right behind the kernel's zeros */
        unit_assert_int(segments[3].kind, FIRMWARE_KIND_INITRD);
        unit_assert_int(firmware.image_size, 0x6006);
        memcpy(&stub, layout.stub, sizeof(stub));
        unit_assert_int(stub.kernel_entry, 0x200000);
        unit_assert_int(stub.initrd, 0x208000);
        unit_assert_int(stub.initrd_size, 6);
        unit_assert_string(stub.cmdline, LAYOUT_CMDLINE);
        layout_done(&layout);
}

static void test_layout_errors(void)
{
        char long_line[FIRMWARE_CMDLINE_MAX + 2];
        Kernel kernel = kernel_example();
        LayoutInput input = input_example(&kernel);
        Layout layout;
        int detail = 0;

        memset(long_line, 'x', sizeof(long_line));
        long_line[sizeof(long_line) - 1] = '\0';
        input.cmdline = long_line;
        unit_assert_int(layout_make(&input, &layout, &detail), LAYOUT_E_CMDLINE);
        input.cmdline = "quiet\n";
        unit_assert_int(layout_make(&input, &layout, &detail), LAYOUT_E_IMAGE);
        unit_assert_int(detail, FIRMWARE_E_TEXT);
        input = input_example(&kernel);
        kernel.parts[2].p_paddr = 0x201000;
        unit_assert_int(layout_make(&input, &layout, &detail), LAYOUT_E_IMAGE);
        unit_assert_int(detail, FIRMWARE_E_OVERLAP);
        kernel = kernel_example(), kernel.header.e_ident[0] = 0;
        unit_assert_int(layout_make(&input, &layout, &detail), LAYOUT_E_KERNEL);
        unit_assert_int(detail, ELF_E_MAGIC);
        kernel = kernel_example();
        input.stub_size = sizeof(StubImage) - 1;
        unit_assert_int(layout_make(&input, &layout, &detail), LAYOUT_E_STUB);
        input.stub_size = sizeof(stub_bytes);
        stub_bytes[0] = 0;
        unit_assert_int(layout_make(&input, &layout, &detail), LAYOUT_E_STUB);
}

static void test_files(void)
{
        char folder[] = "/tmp/mkfw_test.XXXXXX", path[64];
        const Kernel kernel = kernel_example();
        const LayoutInput input = input_example(&kernel);
        Layout layout;
        uint8_t *data;
        size_t size;
        struct stat st;
        int detail = 0;

        unit_assert(mkdtemp(folder));
        snprintf(path, sizeof(path), "%s/my.fw", folder);
        unit_assert_int(file_read(path, SIZE_MAX, &data, &size), -ENOENT);
        unit_assert_int(file_read(folder, SIZE_MAX, &data, &size), -EISDIR);
        unit_assert_int(file_read("/dev/null", SIZE_MAX, &data, &size), -EINVAL);
        unit_assert_int(layout_make(&input, &layout, &detail), 0);
        umask(022);
        unit_assert_int(file_write_image("/nowhere/at/all", &layout), -ENOENT);
        unit_assert_int(file_write_image(path, &layout), 0);
        unit_assert_int(file_write_image(path, &layout), 0); /* replaces the old one */
        unit_assert_int(stat(path, &st), 0);
        unit_assert_int(st.st_mode, S_IFREG | 0644);
        unit_assert_int(file_read(path, layout.firmware.image_size - 1, &data, &size), -EFBIG);
        unit_assert_int(file_read(path, SIZE_MAX, &data, &size), 0);
        unit_assert_int(size, layout.firmware.image_size);
        unit_assert_bytes(data, layout.header, sizeof(layout.header));
        unit_assert_int(data[0x5000], 0x77);
        unit_assert_bytes(data + 0x6000, "070701", 6);
        free(data);
        layout_done(&layout);
        unit_assert_int(unlink(path), 0);
        unit_assert_int(rmdir(folder), 0); /* and nothing else was left there */
}

UNIT_MAIN(UNIT_TEST(test_elf), UNIT_TEST(test_elf_headers), UNIT_TEST(test_elf_parts),
          UNIT_TEST(test_layout), UNIT_TEST(test_layout_errors), UNIT_TEST(test_files))
