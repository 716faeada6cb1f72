/*
 * carom doctor, as its users see it: scripts that call the built program, on this
 * machine and, by --root, on files that tell of others.
 */
#include "tests/tools/shell.h"

#include <sys/file.h>

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/syscall.h>

#include "core/cgroup_base.h"
#include "core/cgroup_file.h"
#include "core/cgroup_group.h"
#include "core/features.h"
#include "core/temp_dir.h"
#include "tests/needs.h"

static void begin(void)
{
	shell_enter_directory();
	unsetenv("CAROM_DENY");
	unsetenv("CAROM_LOOP");
	unsetenv("CAROM_CLONE");
	unsetenv("CAROM_CPU_COUNT");
	unsetenv("PYTHON_CPU_COUNT");
	unsetenv("container");
}

TestSuite(doctor, .init = begin, .fini = shell_leave_directory, .timeout = 60);

/* --- on this machine ------------------------------------------------------ */

Test(doctor, tells_what_the_library_does_here)
{
	const struct shell *done = shell("exec $C doctor");

	cr_expect(le(int, done->status, 2));
	shell_expect_is(done->err, "");
	shell_expect_has(done->out, "carom ");
	shell_expect_has(done->out, "\nMachine\n");
	shell_expect_has(done->out, "\nProcesses: made by ");
	shell_expect_has(done->out, "\nWaiting: ");
	shell_expect_has(done->out, "\nShared memory: memfd");
	shell_expect_has(done->out, "\nLimits: ");
	shell_expect_has(done->out, "\nSandbox");
}

Test(doctor, fits_80_columns_whatever_is_missing)
{
	shell_expect_narrower(shell("exec $C doctor")->out, 80);
	shell_expect_narrower(shell("exec $C doctor -v")->out, 80);
	setenv("CAROM_DENY",
	       "clone3,clone_pidfd,tid_address,robust_list,io_uring,io_uring_futex,"
	       "futex_waitv,pidfd_info,close_range,memfd_noexec,madv_populate,"
	       "cgroup_v2",
	       1);
	shell_expect_narrower(shell("exec $C doctor --verbose")->out, 80);
	shell_expect_narrower(shell("ulimit -n 64; exec $C doctor --root /nowhere")->out, 80);
}

static const char *line_of(const char *state, const char *name)
{
	static char text[64];

	snprintf(text, sizeof(text), "  %-6s%s ", state, name);
	return text;
}

/* With what it is part of, as that may be missing on this machine anyway. */
static const char *whole_of(const char *name)
{
	if (strcmp(name, "io_uring_futex") == 0)
		return ",io_uring";
	return strcmp(name, "cgroup_kill") == 0 ? ",cgroup_v2" : "";
}

/* CX-22 */
Test(doctor, tells_of_each_mechanism_that_is_denied_and_how_to_have_it)
{
	const struct carom_feature_info *feature = NULL;
	const struct shell *done;
	char deny[128];

	while ((feature = carom_feature_next(feature))) {
		if (!feature->fallback)
			continue;
		snprintf(deny, sizeof(deny), "%s%s", feature->name, whole_of(feature->name));
		setenv("CAROM_DENY", deny, 1);
		done = shell("exec $C doctor");
		shell_expect_has(done->out, line_of("less", feature->name));
		shell_expect_has(done->out, "run            unset CAROM_DENY\n");
		cr_expect(ge(int, done->status, 1), "%s", feature->name);
	}
}

Test(doctor, says_what_is_done_instead)
{
	shell_expect_has(shell("CAROM_DENY=clone3 exec $C doctor")->out, "made by clone, held");
	shell_expect_has(shell("CAROM_DENY=tid_address exec $C doctor")->out, "made by fork, no");
	shell_expect_has(shell("CAROM_DENY=io_uring exec $C doctor")->out, "Waiting: epoll, ");
	shell_expect_has(shell("CAROM_LOOP=epoll exec $C doctor")->out,
			 "Waiting: epoll (CAROM_LOOP), ");
	shell_expect_has(shell("CAROM_CLONE=clone exec $C doctor")->out,
			 "made by clone, held by pidfd (CAROM_CLONE)");
	shell_expect_has(shell("CAROM_DENY=robust_list exec $C doctor")->out, "deaths by pidfd\n");
	shell_expect_has(shell("CAROM_DENY=io_uring,futex_waitv exec $C doctor")->out,
			 is_denied("get_robust_list", "a thread for each")
				 ? "deaths by pidfd\n"
				 : "deaths by robust futex, a thread for each\n");
	shell_expect_has(shell("CAROM_DENY=cgroup_v2 exec $C doctor")->out,
			 "Limits: memory by sampling, without cgroups\n");
}

/* What carom_cgroup_new() would begin with. */
static const char *expected_means(void)
{
	char reason[CAROM_CGROUP_REASON_SIZE], list[4096] = "";
	struct carom_cgroup_base base;

	if (carom_cgroup_base_open("", reason, &base) < 0)
		return "Limits: memory by sampling, without cgroups\n";
	carom_cgroup_file_read(base.fd, "cgroup.controllers", list, sizeof(list));
	close(base.fd);
	return carom_cgroup_text_has_word(list, "memory") ? "Limits: memory by cgroup v2\n"
							  : "Limits: memory by sampling\n";
}

Test(doctor, agrees_with_the_library_on_what_limits_memory)
{
	shell_expect_has(shell("exec $C doctor")->out, expected_means());
}

/* --- exit status ----------------------------------------------------------- */

Test(doctor, ends_by_severity)
{
	const struct shell *done = shell("CAROM_DENY=memfd_noexec exec $C doctor");

	cr_expect(ge(int, done->status, 1));
	done = shell("CAROM_LOOP=none exec $C doctor");
	cr_expect(eq(int, done->status, 2));
	shell_expect_has(done->out, line_of("NO", "loop"));
	shell_expect_has(done->out, "run            unset CAROM_LOOP\n");
	shell_expect_has(done->out, "1 thing does not work; ");
}

#define DENY(number, error)                                  \
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (number), 0, 1), \
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (error))

/* As a container's runtime does, for this process and all it starts. */
static void load(struct sock_filter *code, unsigned short length)
{
	struct sock_fprog program = { .len = length, .filter = code };

	cr_assert(zero(int, prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)));
	cr_assert(zero(int, prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program)));
}

static void deny_calls(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		DENY(SYS_io_uring_setup, EPERM),
		DENY(SYS_clone3, ENOSYS),
		DENY(SYS_waitid, EPERM),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};

	load(code, sizeof(code) / sizeof(*code));
}

static void deny_layers(int landlock_error)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		DENY(SYS_landlock_create_ruleset, landlock_error),
		DENY(SYS_unshare, EPERM),
		DENY(SYS_clone3, ENOSYS), /* its arguments cannot be read here */
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clone, 0, 3),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args)),
		BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, CLONE_NEWPID, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};

	load(code, sizeof(code) / sizeof(*code));
}

static void skip_without_sandboxes(void)
{
	const struct shell *done = shell("exec $C doctor");

	if (strstr(done->out, "no sandbox can be made"))
		shell_skip("skipped: no sandbox can be made here");
}

Test(doctor, tells_which_layers_a_sandbox_would_not_have)
{
	const struct shell *done;

	skip_without_sandboxes();
	deny_layers(EOPNOTSUPP);
	done = shell("exec $C doctor --root /nowhere");
	shell_expect_has(done->out, "Sandbox: seccomp, no Landlock, no namespaces\n");
	shell_expect_has(done->out, line_of("less", "landlock"));
	shell_expect_has(done->out, "set            lsm=landlock,...\n");
	shell_expect_has(done->out, line_of("less", "net_namespace"));
	shell_expect_has(done->out, "a sandbox that asks for it cannot be made");
	shell_expect_narrower(done->out, 80);
}

Test(doctor, names_the_line_that_would_give_a_layer)
{
	skip_without_sandboxes();
	deny_layers(ENOSYS);
	cr_assert(zero(int, system("mkdir -p root/proc/sys/kernel && touch root/.dockerenv && "
				   "echo 6.1.0 >root/proc/sys/kernel/osrelease")));
	shell_expect_has(shell("exec $C doctor --root root")->out,
			 "landlock_create_ruleset landlock_add_rule\n");
	cr_assert(zero(int, system("echo 5.10.0 >root/proc/sys/kernel/osrelease")));
	shell_expect_has(shell("exec $C doctor --root root")->out,
			 "needs          Linux 5.13 or newer\n");
}

Test(doctor, tells_what_does_not_work_at_all)
{
	const struct shell *done;

	deny_calls();
	done = shell("exec $C doctor");
	cr_expect(eq(int, done->status, 2));
	shell_expect_has(done->out, line_of("NO", "pidfd_wait"));
	shell_expect_has(done->out, "there is no way without it");
	shell_expect_has(done->out, "costs          processes and pools cannot be used");
	shell_expect_has(done->out, "a seccomp filter is in force on this process");
}

Test(doctor, fails_if_nobody_can_read_it)
{
	const struct shell *done = shell("$C doctor >&-; echo $?; $C doctor --json >&-; echo $?;"
					 "$C doctor >/dev/full; echo $?;"
					 "$C doctor --json >/dev/full; echo $?");

	shell_expect_is(done->out, "125\n125\n125\n125\n");
	shell_expect_has(done->err, "carom doctor: standard output: Bad file descriptor\n");
	shell_expect_has(done->err, "carom doctor: standard output: No space left on device\n");
}

Test(doctor, says_what_is_wrong_with_its_options)
{
	static const struct {
		const char *script;
		const char *complaint;
	} cases[] = {
		{ "$C doctor --wrong", "carom doctor: there is no option '--wrong'\n" },
		{ "$C doctor -x", "carom doctor: there is no option '-x'\n" },
		{ "$C doctor -vx", "carom doctor: there is no option '-x'\n" },
		{ "$C doctor --json=1", "carom doctor: option '--json=1' takes no value\n" },
		{ "$C doctor --dry-run", "carom doctor: --dry-run is of use with --clean only\n" },
		{ "$C doctor --clean --json", "carom doctor: --clean goes with --dry-run only\n" },
		{ "$C doctor --clean -v", "carom doctor: --clean goes with --dry-run only\n" },
		{ "$C doctor --clean --root x",
		  "carom doctor: --clean goes with --dry-run only\n" },
		{ "$C doctor --root", "carom doctor: option '--root' needs a value\n" },
		{ "$C doctor word", "carom doctor: 'word' is one word too many\n" },
		{ "$C doctor -- -v", "carom doctor: '-v' is one word too many\n" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		const struct shell *done = shell(cases[i].script);

		cr_expect(eq(int, done->status, 125), "%s", cases[i].script);
		shell_expect_is(done->out, "");
		shell_expect_has(done->err, cases[i].complaint);
		shell_expect_has(done->err, "'carom doctor --help' shows how it is used\n");
	}
}

Test(doctor, has_help_that_fits_a_screen)
{
	shell_expect_fits_a_screen("$C doctor --help");
}

Test(doctor, is_coloured_on_a_terminal_only)
{
	cr_expect(eq(ptr, strstr(shell("TERM=xterm exec $C doctor")->out, "\033"), NULL));
	shell_expect_has(shell_on_terminal("TERM=xterm exec $C doctor", 80), "\033[32mok\033[m");
	cr_expect(eq(ptr,
		     strstr(shell_on_terminal("TERM=xterm NO_COLOR=1 exec $C doctor", 80), "\033"),
		     NULL));
	cr_expect(eq(ptr, strstr(shell_on_terminal("TERM=dumb exec $C doctor", 80), "\033"), NULL));
}

/* --- for programs ---------------------------------------------------------- */

static void skip_without_python(void)
{
	if (shell("command -v python3 >/dev/null")->status)
		shell_skip("skipped: there is no Python to read JSON with");
}

/* A Python expression about the report, "report", and by their ids its "findings". */
static const char *evaluate(const char *environment, const char *options, const char *expression)
{
	static char script[2048];
	const struct shell *done;

	skip_without_python();
	snprintf(script, sizeof(script),
		 "%s $C doctor --json %s | python3 -c '\n"
		 "import json, sys\n"
		 "report = json.load(sys.stdin)\n"
		 "findings = {finding[\"id\"]: finding for finding in report[\"findings\"]}\n"
		 "print(%s)'",
		 environment, options, expression);
	done = shell(script);
	shell_expect_is(done->err, "");
	return done->out;
}

Test(doctor, is_json_if_asked_for)
{
	const struct shell *done;

	skip_without_python();
	done = shell("$C doctor --json | python3 -m json.tool");
	cr_expect(zero(int, done->status));
	shell_expect_has(done->out, "\"schema\": 1,");
	done = shell("CAROM_DENY=clone3 $C doctor --json >report; echo $?;"
		     "python3 -c 'import json; print(json.load(open(\"report\"))[\"status\"])'");
	cr_expect(eq(int, done->out[0], done->out[2]), "%s", done->out);
}

Test(doctor, has_every_member_in_every_finding)
{
	shell_expect_is(evaluate("", "", "sorted(report)"),
			"['carom', 'findings', 'in_force', 'schema', 'status', 'system']\n");
	shell_expect_is(evaluate("CAROM_DENY=io_uring", "",
				 "set(tuple(sorted(finding)) for finding in report[\"findings\"])"),
			"{('cost', 'facts', 'group', 'id', 'is_mechanism', 'reason', 'remedy', "
			"'state', 'value')}\n");
	shell_expect_is(evaluate("", "", "len(findings) == len(report[\"findings\"])"), "True\n");
	shell_expect_is(evaluate("CAROM_DENY=clone3", "", "findings[\"clone3\"][\"remedy\"]"),
			"{'kind': 'run', 'line': 'unset CAROM_DENY', 'note': None}\n");
	shell_expect_is(evaluate("", "",
				 "set(finding[\"state\"] for finding in findings.values())"
				 " <= {\"ok\", \"info\", \"less\", \"broken\"}"),
			"True\n");
}

Test(doctor, knows_every_mechanism_of_the_library)
{
	shell_expect_is(evaluate("", "",
				 "[finding[\"id\"] for finding in report[\"findings\"]"
				 " if finding[\"group\"] == \"other\"]"),
			"[]\n");
}

Test(doctor, says_numbers_as_numbers)
{
	shell_expect_is(evaluate("ulimit -n 300;", "", "findings[\"nofile\"][\"facts\"]"),
			"{'soft': 300, 'hard': 300}\n");
	shell_expect_is(evaluate("ulimit -Sc 0;", "", "findings[\"core\"][\"facts\"][\"soft\"]"),
			"0\n");
}

/* --- on other machines ------------------------------------------------------ */

/* A file below root/, which is what --root shows to the program. */
static void put(const char *path, const char *text)
{
	char command[512], full[256];

	snprintf(full, sizeof(full), "root%s", path);
	snprintf(command, sizeof(command), "mkdir -p \"$(dirname '%s')\"", full);
	cr_assert(zero(int, system(command)));
	shell_write_file(full, text);
}

static void clear(void)
{
	cr_assert(zero(int, system("rm -rf root; mkdir root")));
}

static void put_link(const char *path, const char *target)
{
	char full[256];

	put(path, "");
	snprintf(full, sizeof(full), "root%s", path);
	unlink(full);
	cr_assert(zero(int, symlink(target, full)));
}

#define UBUNTU  "Linux version 6.8.0-45-generic (buildd@lcy02) #45-Ubuntu SMP\n"
#define OVERLAY "600 500 0:50 / / rw,relatime - overlay overlay rw,lowerdir=/l,upperdir=/u\n"

Test(doctor, recognises_containers_by_their_traces)
{
	static const struct {
		const char *kind;
		struct {
			const char *path, *text;
		} files[3];
	} cases[] = {
		{ "none",
		  { { "/proc/version", UBUNTU }, { "/proc/self/cgroup", "0::/a.slice\n" } } },
		{ "docker", { { "/.dockerenv", "" }, { "/proc/self/cgroup", "0::/\n" } } },
		{ "docker", { { "/proc/self/cgroup", "0::/system.slice/docker-0123ab.scope\n" } } },
		{ "docker", { { "/proc/self/cgroup", "5:memory:/docker/0123ab\n0::/\n" } } },
		{ "docker",
		  { { "/proc/self/mountinfo",
		      OVERLAY "601 600 8:1 /var/lib/docker/containers/01/hosts /etc/hosts rw - "
			      "ext4 /dev/sda1 rw\n" } } },
		{ "podman", { { "/run/.containerenv", "engine=\"podman-4.3.1\"\n" } } },
		{ "podman", { { "/proc/self/cgroup", "0::/user.slice/libpod-01.scope\n" } } },
		{ "podman", { { "/run/host/container-manager", "podman\n" } } },
		{ "kubernetes",
		  { { "/proc/self/cgroup", "0::/kubepods.slice/kubepods-pod1.slice\n" } } },
		{ "kubernetes",
		  { { "/run/secrets/kubernetes.io/serviceaccount/token", "x" },
		    { "/.dockerenv", "" } } },
		{ "kubernetes",
		  { { "/proc/self/mountinfo",
		      OVERLAY "601 600 8:1 /var/lib/kubelet/pods/0/etc-hosts /etc/hosts rw - "
			      "ext4 /dev/sda1 rw\n" } } },
		{ "lxc", { { "/proc/self/cgroup", "0::/lxc.payload.c1/init.scope\n" } } },
		{ "lxc", { { "/run/systemd/container", "lxc\n" } } },
		{ "lxc",
		  { { "/proc/self/mountinfo",
		      "9 8 0:1 / /proc/cpuinfo rw - fuse.lxcfs l rw\n" } } },
		{ "systemd-nspawn", { { "/run/host/container-manager", "systemd-nspawn\n" } } },
		{ "gvisor",
		  { { "/proc/version",
		      "Linux version 4.4.0 #1 SMP Sun Jan 10 15:06:54 PST 2016\n" },
		    { "/.dockerenv", "" } } },
		{ "gvisor", { { "/proc/version", "Linux version 4.19.0-gvisor #1 SMP\n" } } },
		{ "unknown", { { "/run/host/container-manager", "somebody-else\n" } } },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		char expected[64];

		clear();
		for (size_t file = 0; cases[i].files[file].path; file++)
			put(cases[i].files[file].path, cases[i].files[file].text);
		snprintf(expected, sizeof(expected), "  -     container        %s\n",
			 cases[i].kind);
		shell_expect_has(shell("exec $C doctor --root root")->out, expected);
	}
}

Test(doctor, recognises_containers_by_what_the_first_process_was_told)
{
	static const char text[] = "PATH=/bin\0container=systemd-nspawn\0HOME=/";
	FILE *file;

	put("/proc/1/environ", "");
	file = fopen("root/proc/1/environ", "we");
	fwrite(text, sizeof(text), 1, file);
	fclose(file);
	shell_expect_has(shell("exec $C doctor --root root")->out,
			 "container        systemd-nspawn\n");
}

/* A disk made from an image carries /.dockerenv with it. */
Test(doctor, is_not_taken_in_by_an_image_that_was_booted)
{
	put("/.dockerenv", "");
	put_link("/proc/self/ns/pid", "pid:[4026531836]");
	put_link("/proc/self/ns/cgroup", "cgroup:[4026531835]");
	shell_expect_has(shell("exec $C doctor --root root")->out, "container        none\n");
	unlink("root/proc/self/ns/pid");
	put_link("/proc/self/ns/pid", "pid:[4026532555]");
	shell_expect_has(shell("exec $C doctor --root root")->out, "container        docker\n");
}

/* The line is another one under each runtime. */
Test(doctor, names_the_line_of_the_runtime_that_refuses)
{
	static const struct {
		const char *path, *text, *line;
	} cases[] = {
		{ "/.dockerenv", "",
		  "run            docker run --security-opt seccomp=PROFILE IMAGE\n" },
		{ "/run/.containerenv", "",
		  "run            podman run --security-opt seccomp=PROFILE IMAGE\n" },
		{ "/run/secrets/kubernetes.io/token", "", "localhostProfile:" },
		{ "/run/systemd/container", "lxc",
		  "set            lxc.seccomp.profile = PROFILE\n" },
		{ "/run/systemd/container", "systemd-nspawn",
		  "run            systemd-nspawn --system-call-filter=\"clone3\" ...\n" },
		{ "/run/systemd/container", "other", "set            allow clone3\n" },
		{ "/proc/version", "gVisor", "needs          another runtime than gVisor\n" },
		{ "/proc/version", UBUNTU, "set            SystemCallFilter=clone3\n" },
	};

	deny_calls();
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		const struct shell *done;

		clear();
		put(cases[i].path, cases[i].text);
		put("/proc/sys/kernel/osrelease", "6.8.0\n");
		done = shell("exec $C doctor --root root");
		shell_expect_has(done->out, line_of("less", "clone3"));
		shell_expect_has(done->out, cases[i].line);
		shell_expect_narrower(done->out, 80);
	}
}

Test(doctor, finds_the_cause_outside_of_the_container)
{
	deny_calls();
	put("/proc/sys/kernel/osrelease", "6.8.0\n");
	put("/proc/sys/kernel/io_uring_disabled", "2\n");
	shell_expect_has(shell("exec $C doctor --root root")->out,
			 "run            sysctl -w kernel.io_uring_disabled=0\n"
			 "                         as root\n");
	put("/.dockerenv", "");
	shell_expect_has(shell("exec $C doctor --root root")->out, "as root, on the host\n");
	put("/proc/sys/kernel/io_uring_disabled", "0\n");
	put("/proc/sys/kernel/osrelease", "5.0.0\n");
	shell_expect_has(shell("exec $C doctor --root root")->out,
			 "needs          Linux 5.1 or newer\n");
}

Test(doctor, judges_what_the_files_of_the_system_say)
{
	static const struct {
		const char *path, *text, *expected;
	} cases[] = {
		{ "/proc/sys/kernel/osrelease", "5.10.0-28-amd64\n",
		  "  ok    kernel           Linux 5.10.0-28-amd64, " },
		{ "/proc/sys/kernel/osrelease", "5.9.16\n",
		  "needs          Linux 5.10 or newer\n" },
		{ "/proc/sys/kernel/osrelease", "4.19.0\n",
		  "  less  kernel           Linux 4.19.0, " },
		{ "/proc/sys/kernel/osrelease", "nonsense\n",
		  "  ok    kernel           Linux nonsense" },
		{ "/proc/sys/vm/overcommit_memory", "0\n", "  ok    overcommit       mode 0" },
		{ "/proc/sys/vm/overcommit_memory", "1\n", "  ok    overcommit       mode 1" },
		{ "/proc/sys/vm/overcommit_memory", "2\n",
		  "run            sysctl -w vm.overcommit_memory=0\n" },
		{ "/proc/sys/vm/overcommit_memory", "7\n", "  -     overcommit       unknown\n" },
		{ "/proc/sys/vm/overcommit_memory", "x\n", "  -     overcommit       unknown\n" },
		{ "/proc/sys/vm/overcommit_memory", "", "  -     overcommit       unknown\n" },
		{ "/sys/kernel/mm/transparent_hugepage/enabled", "[always] madvise never\n",
		  "huge_pages       always: " },
		{ "/sys/kernel/mm/transparent_hugepage/enabled", "always madvise [never]\n",
		  "huge_pages       never\n" },
		{ "/sys/kernel/mm/transparent_hugepage/enabled", "[[[[\n",
		  "huge_pages       unknown\n" },
		{ "/proc/sys/kernel/yama/ptrace_scope", "1\n", "ptrace_scope     1: " },
		{ "/proc/sys/kernel/yama/ptrace_scope", "99999999999999999999\n",
		  "ptrace_scope     no Yama" },
		{ "/proc/sys/kernel/perf_event_paranoid", "-1\n",
		  "perf_event_paranoid is -1: processes and kernel" },
		{ "/proc/sys/kernel/perf_event_paranoid", "4\n", "is 4: only root can measure" },
		{ "/proc/pressure/memory", "some avg10=0.00\n", "information can be read" },
		{ "/proc/pressure/cpu", "some avg10=0.00\n", "no pressure stall information" },
		{ "/proc/sys/user/max_user_namespaces", "0\n",
		  "run            sysctl -w user.max_user_namespaces=10000\n" },
		{ "/proc/sys/kernel/unprivileged_userns_clone", "0\n",
		  "why            kernel/unprivileged_userns_clone is 0\n" },
		{ "/proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1\n",
		  "  less  namespace_limits " },
		{ "/proc/meminfo", "MemTotal:       16777216 kB\nMemFree: 1 kB\n",
		  "ram              16384 MiB, no cgroup's limit\n" },
		{ "/proc/meminfo", "MemTotal: 99999999999999999999999 kB\n", "ram " },
		{ "/proc/meminfo", "nothing\n", "  -     ram              unknown\n" },
		{ "/sys/devices/system/cpu/online", "0-63\n", "64 in the machine" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		clear();
		put(cases[i].path, cases[i].text);
		shell_expect_has(shell("exec $C doctor --root root")->out, cases[i].expected);
	}
}

static void put_group(const char *file, const char *text)
{
	char path[128];

	put("/proc/self/cgroup", "0::/a/b\n");
	put("/proc/self/mountinfo",
	    "26 22 0:26 / /sys/fs/cgroup ro,nosuid - cgroup2 cgroup2 rw,nsdelegate\n");
	snprintf(path, sizeof(path), "/sys/fs/cgroup/%s", file);
	put(path, text);
}

Test(doctor, finds_the_tightest_limit_of_the_own_groups)
{
	put("/proc/meminfo", "MemTotal:       16777216 kB\n");
	put_group("a/b/memory.max", "max\n");
	put_group("a/memory.max", "536870912\n");
	put_group("memory.max", "1073741824\n");
	put_group("a/pids.max", "100\n");
	put_group("a/b/cpu.max", "150000 100000\n");
	shell_expect_is(evaluate("", "--root root",
				 "findings[\"ram\"][\"facts\"][\"limit_bytes\"],"
				 "findings[\"pids\"][\"facts\"][\"limit\"],"
				 "findings[\"pids\"][\"state\"],"
				 "findings[\"cpus\"][\"facts\"][\"quota\"]"),
			"536870912 100 less 2\n");
	put("/.dockerenv", "");
	shell_expect_has(shell("exec $C doctor --root root")->out,
			 "run            docker run --pids-limit 4096 IMAGE\n");
}

static bool has_cgroups(void)
{
	const struct carom_feature_info *feature = NULL;

	while ((feature = carom_feature_next(feature)))
		if (strcmp(feature->name, "cgroup_v2") == 0)
			return feature->error == 0;
	return false;
}

/* A group that was delegated, in which this program stands alone. */
static void put_delegated_group(const char *controllers)
{
	put_group("a/b/cgroup.procs", "");
	put_group("a/b/cgroup.events", "populated 1\n");
	put_group("a/b/cgroup.type", "domain\n");
	put_group("a/b/cgroup.subtree_control", "");
	put_group("a/b/cgroup.controllers", controllers);
}

Test(doctor, tells_what_groups_can_limit)
{
	const struct shell *done;

	put_delegated_group("cpu memory pids\n");
	done = shell("exec $C doctor --root root");
	shell_expect_has(done->out, "Limits: memory by cgroup v2\n");
	shell_expect_has(done->out, "  ok    cgroup_memory ");
	shell_expect_has(done->out, "  ok    cgroup_pids ");
	shell_expect_has(done->out, "  ok    cgroup_cpu ");
	put_delegated_group("memory pids\n");
	done = shell("exec $C doctor --root root");
	shell_expect_has(done->out, "  ok    cgroup_memory ");
	shell_expect_has(done->out, "  less  cgroup_cpu ");
	shell_expect_has(done->out,
			 "run            systemd-run --user --scope -p Delegate=yes COMMAND\n");
	put_delegated_group("\n");
	shell_expect_has(shell("exec $C doctor --root root")->out, "Limits: memory by sampling\n");
}

Test(doctor, names_the_hierarchy_that_has_the_controller_instead)
{
	put_delegated_group("\n");
	put("/proc/self/cgroup", "4:memory:/\n0::/a/b\n");
	put("/proc/self/mountinfo",
	    "25 22 0:25 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
	    "26 22 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n");
	shell_expect_has(shell("exec $C doctor --root root")->out,
			 "set            systemd.unified_cgroup_hierarchy=1\n");
}

Test(doctor, tells_who_else_is_in_the_group)
{
	const struct shell *done;

	put_delegated_group("memory pids cpu\n");
	put_group("a/b/cgroup.procs", "1\n");
	done = shell("exec $C doctor --root root");
	shell_expect_has(done->out, "  less  cgroup_company ");
	shell_expect_has(done->out, "run            systemd-run --user --scope");
	put_group("a/b/cgroup.subtree_control", "cpu memory pids\n");
	done = shell("exec $C doctor --root root");
	cr_expect(eq(ptr, strstr(done->out, "cgroup_company"), NULL));
}

Test(doctor, tells_of_a_group_that_is_of_no_use)
{
	const struct shell *done;

	put_delegated_group("memory pids cpu\n");
	put_group("a/b/cgroup.type", "threaded\n");
	done = shell("exec $C doctor --root root --json | tr -d '\\n'");
	if (has_cgroups())
		shell_expect_has(done->out, "cgroup.type is \\\"threaded\\\"");
	shell_expect_has(shell("exec $C doctor --root root")->out,
			 "Limits: memory by sampling, without cgroups\n");
}

Test(doctor, survives_files_that_are_none)
{
	clear();
	cr_assert(zero(int, system("cd root && mkdir -p proc/self proc/version proc/meminfo "
				   "proc/sys/vm proc/sys/kernel proc/1 &&"
				   "head -c 3000000 /dev/urandom >proc/self/mountinfo &&"
				   "head -c 3000000 /dev/urandom >proc/self/cgroup &&"
				   "head -c 100000 /dev/urandom >proc/1/environ &&"
				   "head -c 100000 /dev/zero >proc/self/status &&"
				   "head -c 100 /dev/urandom >proc/sys/kernel/osrelease &&"
				   "mkfifo proc/sys/vm/overcommit_memory")));
	shell_expect_is(evaluate("", "--root root", "findings[\"overcommit\"][\"value\"]"),
			"unknown\n");
	shell_expect_has(shell("exec $C doctor --root root")->out, "\nMachine\n");
	shell_expect_has(shell("exec $C doctor --root /nowhere")->out, "\nMachine\n");
}

Test(doctor, tells_of_limits_that_are_too_small)
{
	const struct shell *done = shell("ulimit -n 64; exec $C doctor");

	shell_expect_has(done->out, line_of("less", "nofile"));
	shell_expect_has(done->out, "a program's pools have room for 18 workers");
	cr_expect(ge(int, done->status, 1));
	put("/.dockerenv", "");
	shell_expect_has(shell("ulimit -n 64; exec $C doctor --root root")->out,
			 "run            docker run --ulimit nofile=65536:65536 IMAGE\n");
	clear();
	shell_expect_has(shell("ulimit -n 64; exec $C doctor --root root")->out,
			 "set            LimitNOFILE=65536\n");
}

Test(doctor, tells_where_temporary_files_cannot_be)
{
	const struct shell *done = shell("TMPDIR=/nowhere exec $C doctor");

	shell_expect_has(done->out, line_of("less", "temporary_files"));
	shell_expect_has(done->out, "why            No such file or directory\n");
	shell_expect_has(done->out, "run            export TMPDIR=DIRECTORY\n");
}

/* --- what is left behind ---------------------------------------------------- */

/* One at a time: what one test has made for itself to remove, another would remove as well. */
static void clean_alone(void)
{
	int fd = open(getenv("CAROM_PROGRAM"), O_RDONLY | O_CLOEXEC);

	cr_assert(zero(int, flock(fd, LOCK_EX)));
}

Test(doctor, finds_nothing_where_nothing_is_left)
{
	const struct shell *done;

	clean_alone();
	done = shell("TMPDIR=. exec $C doctor --clean --dry-run");
	cr_expect(zero(int, done->status));
	/* on this machine others may have left groups */
	cr_expect(strcmp(done->out, "Nothing was left behind.\n") == 0 ||
		  strncmp(done->out, "would remove cgroup ", 20) == 0);
}

/* A process that has a directory for temporary files, and waits to be killed. */
static pid_t begin_owner(char path[4096])
{
	const char *made;
	int fds[2];
	pid_t pid;

	cr_assert(zero(int, pipe(fds)));
	pid = fork();
	if (pid == 0) {
		if (carom_temp_dir(&made) < 0 || write(fds[1], made, strlen(made) + 1) < 0)
			_exit(1);
		for (;;)
			pause();
	}
	close(fds[1]);
	cr_assert(lt(int, 0, (int)read(fds[0], path, 4096)));
	close(fds[0]);
	return pid;
}

Test(doctor, removes_directories_of_killed_programs_only)
{
	char path[4096], other[4096], line[5000], here[4096];
	const struct shell *done;
	pid_t dead, alive;

	clean_alone();
	cr_assert(ne(ptr, getcwd(here, sizeof(here)), NULL));
	setenv("TMPDIR", here, 1);
	dead = begin_owner(path);
	alive = begin_owner(other);
	kill(dead, SIGKILL);
	waitpid(dead, NULL, 0);
	done = shell("exec $C doctor --clean --dry-run");
	cr_expect(zero(int, done->status));
	snprintf(line, sizeof(line), "would remove directory %s\n", path);
	shell_expect_has(done->out, line);
	cr_expect(zero(int, access(path, F_OK)));
	done = shell("exec $C doctor --clean --dry-run >/dev/full");
	cr_expect(eq(int, done->status, 125));
	done = shell("exec $C doctor --clean");
	cr_expect(zero(int, done->status));
	snprintf(line, sizeof(line), "removed directory %s\n", path);
	shell_expect_has(done->out, line);
	cr_expect(ne(int, access(path, F_OK), 0));
	cr_expect(zero(int, access(other, F_OK)), "its owner lives");
	cr_expect(eq(ptr, strstr(done->out, other), NULL));
	kill(alive, SIGKILL);
	waitpid(alive, NULL, 0);
	shell_expect_has(shell("exec $C doctor --clean")->out, other);
}

Test(doctor, names_each_library_that_cannot_be_loaded, .timeout = 60)
{
	static const char hide[] = "mkdir first; readelf -p .note.dlopen $C 2>/dev/null |\n"
				   "sed -n 's/.*soname\":\\[\"\\([^\"]*\\)\".*/\\1/p' >names\n"
				   "while read -r name; do : >first/$name; done <names\n"
				   "cat names; ";
	char names[4][64] = { "" };
	const struct shell *done = shell(hide);
	int count = sscanf(done->out, "%63s%63s%63s%63s", names[0], names[1], names[2], names[3]);

	if (count < 1)
		shell_skip("skipped: all libraries are linked, or there is no readelf");
	cr_expect(ge(int, count, 3), "%s", done->out);
	done = shell("LD_LIBRARY_PATH=$PWD/first:$LD_LIBRARY_PATH exec $C doctor");
	for (int i = 0; i < count; i++)
		shell_expect_has(done->out, names[i]);
	shell_expect_has(done->out, "listeners, connections");
	done = shell("exec $C doctor");
	for (int i = 0; i < count; i++)
		cr_expect(eq(ptr, strstr(done->out, names[i]), NULL));
}

Test(doctor, says_where_it_cannot_clean)
{
	const struct shell *done = shell("TMPDIR=/nowhere/at/all exec $C doctor --clean --dry-run");

	cr_expect(zero(int, done->status)); /* no directory, so nothing in it */
	done = shell(
		"mkdir open; chmod 777 open; TMPDIR=$PWD/open exec $C doctor --clean --dry-run");
	cr_expect(eq(int, done->status, 1));
	shell_expect_has(done->err, "carom doctor: directories cannot be looked for: ");
}

/*
 * In a cgroup namespace, so that only groups below this one's are seen, and a mount
 * namespace, where the hierarchy is mounted so.
 */
Test(doctor, removes_groups_in_which_nobody_lives)
{
	const struct shell *done;

	clean_alone();
	done = shell(
		"export TMPDIR=$PWD\n" /* where nobody has left anything */
		"group=$(awk '$(NF-2) == \"cgroup2\" { print $5; exit }' /proc/self/mountinfo)\n"
		"own=$group$(sed -n 's/^0:://p' /proc/self/cgroup)\n"
		"mkdir \"$own/doctor-$$\" 2>/dev/null || { echo skipped; exit; }\n"
		"trap 'echo 0 >\"$own/cgroup.procs\"; rmdir \"$own/doctor-$$\"/*/* "
		"\"$own/doctor-$$\"/* \"$own/doctor-$$\" 2>/dev/null' EXIT\n"
		"cd \"$own/doctor-$$\" && mkdir -p carom-1.0/program/carom-2.0 carom-3.1/program "
		"carom-x.1 carom-4.0/program other\n"
		"sleep 100 & echo $! >carom-3.1/program/cgroup.procs\n"
		"echo $$ >cgroup.procs\n"
		"cd / && mkdir \"$OLDPWD/../doctor-$$/probe\" && "
		"unshare -Cm sh -c 'umount \"$1\" && mount -t cgroup2 none /mnt && cd /mnt && "
		"$C doctor --clean --dry-run | sort && $C doctor --clean | sort && ls -d carom* "
		"other' "
		"x \"$group\" || echo skipped\n"
		"kill $!; wait $! 2>/dev/null; true");

	if (strstr(done->out, "skipped"))
		shell_skip("skipped: no cgroup v2 that can be written and mounted: %s", done->err);
	shell_expect_is(done->out, "would remove cgroup /mnt/carom-1.0\n"
				   "would remove cgroup /mnt/carom-1.0/program/carom-2.0\n"
				   "would remove cgroup /mnt/carom-4.0\n"
				   "removed cgroup /mnt/carom-1.0\n"
				   "removed cgroup /mnt/carom-4.0\n"
				   "carom-3.1\n"
				   "carom-x.1\n"
				   "other\n");
}
