# Packages: what a set-up command needs of the system, for tools/quickstart and tools/check.
#
# A package counts as there when what it is for can be used, so that a machine
# with the same things from elsewhere is left alone. Only a Debian 12 with root
# is changed; any other machine is told what is missing, by Debian's names.

# NAME PROBE; a probe is a command, a header, a pkg-config module, or a function below
packages_for_build='
gcc            command gcc
libc6-dev      header stdio.h
meson          command meson
ninja-build    command ninja
pkg-config     command pkg-config
liburing-dev   module liburing
libjansson-dev module jansson
libseccomp-dev module libseccomp
nettle-dev     module nettle
libcbor-dev    module libcbor
libexpat1-dev  module expat
'
packages_for_check='
g++              command g++
python3          command python3
libcriterion-dev module criterion
libuv1-dev       module libuv
libboost-dev     cpp_header boost/lockfree/spsc_queue.hpp
libzmq3-dev      module libzmq
libnng-dev       header nng/nng.h
python3-billiard debian_python_module billiard
clang            command clang
libclang-rt-dev  clang_library fuzzer
clang-format     command clang-format
spin             command spin
libpython3.11-testsuite python_module test.lock_tests
strace           command strace
cmake            command cmake
musl-tools       command musl-gcc
abigail-tools    command abidiff
mandoc           command mandoc
groff-base       command groff
zsh              command zsh
systemtap-sdt-dev header sys/sdt.h
'

probe_command() {
	command -v "$1" >/dev/null
}

probe_header() {
	echo "#include <$1>" | gcc -E - >/dev/null 2>&1
}

probe_cpp_header() {
	echo "#include <$1>" | g++ -E -xc++ - >/dev/null 2>&1
}

probe_module() {
	pkg-config --exists "$1" 2>/dev/null
}

probe_python_module() {
	python3 -c "import $1" >/dev/null 2>&1
}

# the bench runs Debian's interpreter, whatever python3 is first on PATH
probe_debian_python_module() {
	/usr/bin/python3 -c "import $1" >/dev/null 2>&1
}

probe_clang_library() {
	[ -e "$(clang -print-runtime-dir 2>/dev/null)/libclang_rt.$1-$(uname -m).a" ] ||
		[ -e "$(clang -print-runtime-dir 2>/dev/null)/libclang_rt.$1.a" ]
}

# missing_packages LIST: the names of those that are not there, on one line
missing_packages() {
	local name kind what missing=()

	while read -r name kind what; do
		[ -z "$name" ] || "probe_$kind" "$what" || missing+=("$name")
	done <<<"$1"
	echo "${missing[*]}"
}

is_debian_12() {
	[ -r /etc/os-release ] && (. /etc/os-release && [ "${ID:-}:${VERSION_ID:-}" = debian:12 ])
}

# what to type instead, for somebody who may or may not be on Debian 12
name_missing_packages() {
	echo "$0: these packages are missing: $1" >&2
	if is_debian_12; then
		echo "$0: run it as root once, or:  sudo apt-get install --no-install-recommends $1" >&2
	else
		echo "$0: these are Debian 12's names; install what your system calls them, then run $0 again" >&2
	fi
}

install_with_apt() {
	local apt=(apt-get -qq -o DPkg::Lock::Timeout=300)

	echo "== installing $1"
	export DEBIAN_FRONTEND=noninteractive
	# an installation that was interrupted is finished first
	timeout 600 dpkg --configure -a </dev/null
	timeout 600 "${apt[@]}" update </dev/null &&
		# word splitting is what makes the list a list
		timeout 1200 "${apt[@]}" install --yes --no-install-recommends $1 </dev/null
}

# need_packages LIST: have them all, or say what is missing and return 2
need_packages() {
	local missing

	missing=$(missing_packages "$1")
	[ -n "$missing" ] || return 0
	if ! is_debian_12 || [ "$(id -u)" -ne 0 ]; then
		name_missing_packages "$missing"
		return 2
	fi
	install_with_apt "$missing" || true
	missing=$(missing_packages "$1")
	[ -z "$missing" ] && return 0
	echo "$0: apt-get could not install: $missing" >&2
	return 2
}
