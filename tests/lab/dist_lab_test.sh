#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# usage: dist_lab_test.sh [--kernel BZIMAGE]
#
# The archive of `make dist` on a machine of its own, the lab's, where there is nothing else of this
# project: its run.sh lends a device, tests it and gives it back, and the kernel's run_kselftest.sh,
# put beside it, runs a test on a device that is bound to vfio-pci.

set -euo pipefail

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
work=$(mktemp -d "${TMPDIR:-/tmp}/dist-lab.XXXXXX")
# shellcheck source=scripts/tap.sh
. "$top/scripts/tap.sh"
trap 'rm -rf "$work"' EXIT

bdf=0000:01:00.0

# holds NAME PATTERN...: lines of what the lab said match.
holds()
{
	local name=$1 pattern why=''

	shift
	for pattern; do
		grep -qE -e "$pattern" "$work/stdout" || why="no line matches $pattern"
	done
	tap_result "$name" "$why" "$(cat "$work/stdout" "$work/stderr")"
}

main()
{
	local kernel

	export KSRC=${KSRC:-$("$top/scripts/kernel-tree")}
	if [[ ${1:-} == --kernel ]]; then
		kernel=$2
	else
		kernel=$("$top/lab/kernel.sh" "$KSRC") || exit 2
	fi
	tap_begin
	tap_plan 3
	(cd "$top" && scripts/dist "$work/dist.tar" 2>"$work/stderr")
	tar -C "$work" -xf "$work/dist.tar"
	cp -r "$KSRC"/tools/testing/selftests/{run_kselftest.sh,kselftest} "$work/kvm-vfio-tests"
	# busybox's timeout lacks an option that the kernel's runner gives it; it can do without.
	"$top/lab/boot.sh" --kernel "$kernel" --payload "$work/kvm-vfio-tests" --timeout 120 \
		--log-dir "$work/log" -- sh -c "
		device=/sys/bus/pci/devices/$bdf
		./run.sh -d $bdf vfio_iommufd_setup_test
		echo \"run.sh ended with \$?, driver \$(basename \$(readlink \$device/driver))\"
		echo $bdf >\$device/driver/unbind
		echo vfio-pci >\$device/driver_override
		echo $bdf >/sys/bus/pci/drivers_probe
		rm -f /usr/bin/timeout
		export VFIO_SELFTESTS_BDF=$bdf
		./run_kselftest.sh -t kvm-vfio-tests:vfio_iommufd_setup_test" \
		>"$work/stdout" 2>>"$work/stderr" || true
	holds run_sh_tests_a_device "^ok 1 vfio_iommufd_setup_test $bdf\$" '^run.sh ended with 0,'
	holds run_sh_gives_it_back 'driver nvme$'
	holds run_kselftest_runs_a_test \
		'^ok 1 selftests: kvm-vfio-tests: vfio_iommufd_setup_test$'
	tap_end
}

main "$@"
