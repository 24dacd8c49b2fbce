// SPDX-License-Identifier: MIT
// Memory limits of control groups, from folders made to look like the kernel's. Needs no device.
#include "core/file.h"
#include "vulkan/control_group.h"
#include "vulkan/system_memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define MIB (1ull << 20)

static char folder[64];

static int set_up(void **state) {
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/igvk-group-XXXXXX");
    return mkdtemp(folder) ? 0 : -1;
}

static int tear_down(void **state) {
    (void)state;
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", folder);
    return system(command);
}

static void put(const char *name, const char *content) {
    char path[256];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    *strrchr(path, '/') = 0;
    assert_int_equal(folder_create(path), IGVK_OK);
    snprintf(path, sizeof path, "%s/%s", folder, name);
    assert_int_equal(file_write_atomic(path, content, strlen(content)), IGVK_OK);
}

static control_group_memory read_groups(void) {
    char membership[128], mount[128];
    snprintf(membership, sizeof membership, "%s/membership", folder);
    snprintf(mount, sizeof mount, "%s/mount", folder);
    return control_group_memory_of(membership, mount);
}

static void version_2_and_the_groups_above(void **state) {
    (void)state;
    put("membership", "0::/system/job\n");
    put("mount/system/job/memory.max", "max\n");
    put("mount/system/memory.max", "1048576000\n"); // 1000 MiB
    put("mount/system/memory.current", "629145600\n");
    put("mount/system/memory.stat", "anon 524288000\nfile 104857600\ninactive_file 104857600\nactive_file 0\n");
    control_group_memory m = read_groups();
    assert_int_equal(m.limit, 1000 * MIB);
    assert_int_equal(m.available, 500 * MIB); // a cache of 100 MiB can be dropped
}

static void version_1_beside_version_2(void **state) {
    (void)state;
    put("membership", "9:pids:/a\n4:hugetlb,memory:/jobs/7\n1:name=systemd:/\n0::/\n");
    put("mount/memory/memory.limit_in_bytes", "9223372036854771712\n");
    put("mount/memory/memory.usage_in_bytes", "900000000000\n");
    put("mount/memory/jobs/7/memory.limit_in_bytes", "209715200\n");
    put("mount/memory/jobs/7/memory.usage_in_bytes", "230686720\n");
    put("mount/memory/jobs/7/memory.stat", "inactive_file 1\ntotal_inactive_file 52428800\n");
    control_group_memory m = read_groups();
    assert_int_equal(m.limit, 200 * MIB);
    assert_int_equal(m.available, 30 * MIB);
}

// A container's own group is its root, under the host's name.
static void a_name_of_the_host(void **state) {
    (void)state;
    put("membership", "4:memory:/docker/0123abcd\n");
    put("mount/memory/memory.limit_in_bytes", "209715200\n");
    assert_int_equal(read_groups().limit, 200 * MIB);
}

static void no_limit(void **state) {
    (void)state;
    assert_true(read_groups().limit == UINT64_MAX && read_groups().available == UINT64_MAX);
    put("membership", "0::/\nnonsense\n");
    put("mount/memory.max", "max\n");
    assert_true(read_groups().limit == UINT64_MAX && read_groups().available == UINT64_MAX);
}

static void the_system_has_no_more_than_its_group(void **state) {
    (void)state;
    control_group_memory m = control_group_memory_of("/proc/self/cgroup", "/sys/fs/cgroup");
    assert_true(system_memory_total() > 0 && system_memory_total() <= m.limit);
    assert_true(system_memory_available() <= system_memory_total());
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(version_2_and_the_groups_above, set_up, tear_down),
        cmocka_unit_test_setup_teardown(version_1_beside_version_2, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_name_of_the_host, set_up, tear_down),
        cmocka_unit_test_setup_teardown(no_limit, set_up, tear_down),
        cmocka_unit_test(the_system_has_no_more_than_its_group),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
