/*
 * Clean
 *
 * The library knows by itself what nobody lives to need; here is only said what became
 * of it. A line is written as soon as its thing is gone, so that it is true whatever
 * happens next.
 */
#include "tools/doctor_clean.h"

#include <errno.h>
#include <limits.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "core/cgroup_clean.h"
#include "core/temp_dir_clean.h"
#include "tools/say.h"

/**
 * struct cleaning
 * @what:         of which kind the things are that are told of
 * @failed_count: of those that could not be removed
 * @status:       of the first line that could not be written
 */
struct cleaning {
	bool is_dry_run;
	const char *what;
	size_t count;
	size_t failed_count;
	int status;
};

static void tell(const char *path, int error, void *userdata)
{
	struct cleaning *cleaning = userdata;
	char line[PATH_MAX + 64];

	if (error) {
		carom_say("%s %s: %s", cleaning->what, path, strerrordesc_np(-error));
		cleaning->failed_count++;
		return;
	}
	snprintf(line, sizeof(line), "%s %s %s\n",
		 cleaning->is_dry_run ? "would remove" : "removed", cleaning->what, path);
	cleaning->count++;
	if (cleaning->status == 0)
		cleaning->status = carom_print(line);
}

/* No cgroups at all is none left behind. */
static void complain(struct cleaning *cleaning, const char *what, int error)
{
	if (error == 0 || error == -ENOENT)
		return;
	carom_say("%s cannot be looked for: %s", what, strerrordesc_np(-error));
	cleaning->failed_count++;
}

int carom_doctor_clean(bool is_dry_run)
{
	struct cleaning cleaning = { .is_dry_run = is_dry_run };

	cleaning.what = "cgroup";
	complain(&cleaning, "cgroups", carom_cgroup_clean("", is_dry_run, tell, &cleaning));
	cleaning.what = "directory";
	complain(&cleaning, "directories", carom_temp_dir_clean(is_dry_run, tell, &cleaning));
	if (cleaning.status == 0 && cleaning.count == 0 && cleaning.failed_count == 0)
		cleaning.status = carom_print("Nothing was left behind.\n");
	if (cleaning.status == 0 && cleaning.failed_count)
		return 1;
	return cleaning.status;
}
