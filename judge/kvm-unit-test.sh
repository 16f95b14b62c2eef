#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# usage: kvm-unit-test.sh NAME [ARGUMENT]...
#
# In the lab: runs one test of kvm-unit-tests, as its section of unittests.cfg says and with more
# arguments, under a QEMU with KVM. Exit status 0 passed, 1 failed, 4 skipped, 143 no end.

set -u

# setting NAME KEY: what the test's section says, without quotes.
setting() {
	awk -v section="[$1]" -v key="$2" '
	/^\[/ { mine = $1 == section }
	mine && $1 == key && $2 == "=" {
		sub(/^[^=]*= */, "")
		gsub(/["\047]/, "")
		print
	}' kvm-unit-tests/unittests.cfg
}

# What did not pass, at the end of what the test said, without values, stacks and registers.
said() {
	grep -vE '^(PASS|SVM test|[[:space:]]|[ a-z0-9]{3}=)' /tmp/unit-test | tail -n 35
}

name=$1
shift
file=$(setting "$name" file)
smp=$(setting "$name" smp)
arguments=$(setting "$name" test_args)
# The key's name until 2025, and since.
read -ra extra <<<"$(setting "$name" extra_params) $(setting "$name" qemu_params)"

# The bound has come, and QEMU has got its signal as well, but may not end in time to be heard.
trap 'said; wait; exit 143' TERM
status=0
./qemu.sh -machine pc -device pc-testdev -device isa-debug-exit,iobase=0xf4,iosize=0x4 \
	-global kvm-pit.lost_tick_policy=discard -serial stdio -smp "${smp:-1}" \
	-kernel "kvm-unit-tests/$file" -append "$arguments $*" "${extra[@]}" >/tmp/unit-test 2>&1 &
wait $! || status=$?
said
# The device turns what the test ends with into twice that plus one.
case $status in
1) ! grep -q '^FAIL' /tmp/unit-test ;;
# The code itself in newer versions.
77 | 155) exit 4 ;;
*) echo "QEMU's exit status is $status" && exit 1 ;;
esac
