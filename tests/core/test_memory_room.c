/* Memory room: what the machine and the control groups have left, on trees made for the purpose. */
#include "core/memory_room.h"

#include "core/time.h"
#include "tests/core/root.h"

#define MOUNT "26 22 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw\n"

/* 1000 MiB available, 100 MiB of swap, in a group with one around it. */
static void set_up(void)
{
	make_root();
	put("/proc/meminfo", "MemTotal:  2048000 kB\nMemFree: 512 kB\nMemAvailable: 1024000 kB\n"
			     "SwapTotal: 204800 kB\nSwapFree:  102400 kB\n");
	put("/proc/self/cgroup", "0::/around/own\n");
	put("/proc/self/mountinfo", MOUNT);
	put("/sys/fs/cgroup/around/own/memory.max", "max\n");
}

static void set_group(const char *group, const char *max, const char *current, const char *stat,
		      const char *swap_max)
{
	const char *const files[][2] = { { "memory.max", max },
					 { "memory.current", current },
					 { "memory.stat", stat },
					 { "memory.swap.max", swap_max },
					 { "memory.swap.current", "0\n" } };
	char name[PATH_MAX];

	for (size_t i = 0; i < sizeof(files) / sizeof(*files); i++) {
		snprintf(name, sizeof(name), "/sys/fs/cgroup/around%s/%s", group, files[i][0]);
		put(name, files[i][1]);
	}
}

TestSuite(memory_room, .init = set_up, .fini = remove_root);

Test(memory_room, is_what_the_machine_has_available, .timeout = 30)
{
	cr_expect(eq(u64, carom_memory_room(root), CAROM_MIB(1100)));
}

Test(memory_room, is_what_the_own_group_has_left, .timeout = 30)
{
	set_group("/own", "104857600\n", "20971520\n", "anon 20971520\nfile 0\nshmem 0\n", "0\n");
	cr_expect(eq(u64, carom_memory_room(root), CAROM_MIB(80)));
}

Test(memory_room, is_what_the_tightest_group_has_left, .timeout = 30)
{
	set_group("/own", "104857600\n", "0\n", "", "0\n");
	set_group("", "52428800\n", "20971520\n", "", "0\n");
	cr_expect(eq(u64, carom_memory_room(root), CAROM_MIB(30)));
}

Test(memory_room, counts_what_a_group_can_win_back, .timeout = 30)
{
	/* 40 MiB of files, of which 10 are shared memory; 5 MiB of slab; 16 MiB of swap */
	set_group("/own", "104857600\n", "104857600\n",
		  "anon 1\nfile 41943040\nshmem 10485760\nslab_reclaimable 5242880\n",
		  "16777216\n");
	cr_expect(eq(u64, carom_memory_room(root), CAROM_MIB(30 + 5 + 16)));
}

Test(memory_room, counts_no_more_swap_than_there_is, .timeout = 30)
{
	set_group("/own", "104857600\n", "104857600\n", "", "max\n");
	cr_expect(eq(u64, carom_memory_room(root), CAROM_MIB(100)));
}

Test(memory_room, is_nothing_in_a_group_above_its_limit, .timeout = 30)
{
	set_group("/own", "1048576\n", "2097152\n", "", "0\n");
	cr_expect(zero(u64, carom_memory_room(root)));
}

Test(memory_room, is_known_of_older_groups_too, .timeout = 30)
{
	put("/proc/self/cgroup", "4:memory:/own\n");
	put("/proc/self/mountinfo",
	    "27 22 0:27 / /sys/fs/cgroup/memory rw,nosuid - cgroup cgroup rw,memory\n");
	put("/sys/fs/cgroup/memory/own/memory.limit_in_bytes", "104857600\n");
	put("/sys/fs/cgroup/memory/own/memory.usage_in_bytes", "94371840\n");
	put("/sys/fs/cgroup/memory/own/memory.stat",
	    "cache 7\ntotal_cache 2097152\ntotal_shmem 0\n");
	cr_expect(eq(u64, carom_memory_room(root), CAROM_MIB(10 + 2 + 100)));
}

Test(memory_room, is_unlimited_where_nothing_is_known, .timeout = 30)
{
	cr_expect(eq(u64, carom_memory_room("/nonexistent"), UINT64_MAX));
}

Test(memory_room, is_some_here, .timeout = 30)
{
	cr_expect(lt(u64, 0, carom_memory_room("")));
}
