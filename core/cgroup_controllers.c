/*
 * Cgroup: controllers
 *
 * A group has those that the one around it hands on, and hands on those that are named in
 * its cgroup.subtree_control; what v1 has, v2 has not.
 */
#include "core/cgroup_controllers.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "core/cgroup.h"
#include "core/cgroup_base.h"
#include "core/cgroup_file.h"

#define LIST_SIZE 4096 /* of a file of their names */

static const char *const controller_names[CAROM_CGROUP_CONTROLLER_COUNT] = { "memory", "pids",
									     "cpu" };

const char *carom_cgroup_controller_name(uint32_t number)
{
	return controller_names[number];
}

uint32_t carom_cgroup_controllers(const char *list)
{
	uint32_t bits = 0;

	for (uint32_t i = 0; i < CAROM_CGROUP_CONTROLLER_COUNT; i++)
		if (carom_cgroup_text_has_word(list, controller_names[i]))
			bits |= UINT32_C(1) << i;
	return bits;
}

/* --- what a group lacks ------------------------------------------------ */

static int see_v1(const struct carom_cgroup_place *place, void *is_v1)
{
	if (!place->is_v2)
		*(bool *)is_v1 = true;
	return 0;
}

bool carom_cgroup_is_on_v1(const char *root, const char *controller)
{
	bool is_v1 = false;

	carom_cgroup_places(root, controller, see_v1, &is_v1);
	return is_v1;
}

void carom_cgroup_explain_missing(const char *root, const char *path, uint32_t controller,
				  const char *there, char *reason)
{
	const char *name = carom_cgroup_controller_name((uint32_t)__builtin_ctz(controller));

	if (carom_cgroup_is_on_v1(root, name))
		carom_cgroup_say(reason, 0,
				 "%s has no %s controller, as cgroup v1 has it: boot with "
				 "systemd.unified_cgroup_hierarchy=1",
				 path, name);
	else
		carom_cgroup_say(reason, 0,
				 "%s has no %s controller (cgroup.controllers: %.*s): start the "
				 "program by `%s`, or have the groups above it hand it down",
				 path, name, (int)strcspn(there, "\n"), there,
				 carom_cgroup_scope());
}

/* --- what it has and hands on ------------------------------------------ */

int carom_cgroup_controllers_read(int fd, const char *file, uint32_t *ret_controllers)
{
	char list[LIST_SIZE];
	int r = carom_cgroup_file_read(fd, file, list, sizeof(list));

	if (r == 0)
		*ret_controllers = carom_cgroup_controllers(list);
	return r;
}

/* One by one, so that it is known which of them fails. */
int carom_cgroup_controllers_write(int fd, const char *path, char sign, uint32_t controllers,
				   char *reason)
{
	char word[16];
	int r = 0;

	for (uint32_t i = 0; r == 0 && i < CAROM_CGROUP_CONTROLLER_COUNT; i++) {
		if (!(controllers >> i & 1))
			continue;
		snprintf(word, sizeof(word), "%c%s", sign, carom_cgroup_controller_name(i));
		r = carom_cgroup_file_write(fd, "cgroup.subtree_control", word);
	}
	if (r < 0)
		carom_cgroup_say(reason, r, "%s/cgroup.subtree_control: \"%s\": %s", path, word,
				 strerror(-r));
	return r;
}

int carom_cgroup_controllers_check(int fd, const char *path, uint32_t controllers, char *reason)
{
	char list[LIST_SIZE];
	int r = carom_cgroup_file_read(fd, "cgroup.controllers", list, sizeof(list));
	uint32_t missing;

	if (r < 0)
		return carom_cgroup_say(reason, r, "%s/cgroup.controllers: %s", path, strerror(-r));
	missing = controllers & ~carom_cgroup_controllers(list);
	if (!missing)
		return 0;
	carom_cgroup_explain_missing("", path, missing & -missing, list, reason);
	return -ENODEV;
}

int carom_cgroup_enable(int fd, const char *path, uint32_t controllers, char *reason)
{
	uint32_t on = 0;
	int r = carom_cgroup_controllers_read(fd, "cgroup.subtree_control", &on);

	if (r < 0)
		return carom_cgroup_say(reason, r, "%s/cgroup.subtree_control: %s", path,
					strerror(-r));
	controllers &= ~on;
	if (controllers)
		r = carom_cgroup_controllers_check(fd, path, controllers, reason);
	return r < 0 ? r : carom_cgroup_controllers_write(fd, path, '+', controllers, reason);
}
