#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# usage: out_of_tree_driver_test.sh [--kernel BZIMAGE]
#
# A driver from outside of the tree, as docs/adding-a-driver.md has one written: the template of
# scripts/new-driver.sh, filled in for a device that a driver of ours supports as well, linked by
# DRIVERS=. It replaces ours, and the conformance suite is content with it.

set -euo pipefail

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
work=$(mktemp -d "${TMPDIR:-/tmp}/out-of-tree.XXXXXX")
# shellcheck source=scripts/tap.sh
. "$top/scripts/tap.sh"
trap 'rm -rf "$work"' EXIT

# The interrupt of QEMU's edu, and nothing else of it.
fill_in()
{
	sed -i 's/\(VENDOR_ID\).*/\1 0x1234/; s/\(DEVICE_ID\).*/\1 0x11e8/
		/^#define TOY_BAR/a #define TOY_IRQ_STATUS 0x24\
#define TOY_IRQ_RAISE 0x60\
#define TOY_IRQ_ACK 0x64' "$work/drivers/toy/regs.h"
	sed -i 's/MSIX_IRQ_INDEX/MSI_IRQ_INDEX/
		s/.*FILL IN: mask and clear.*/\ttoy_write(device, TOY_IRQ_ACK, UINT32_MAX);/
		s/.*FILL IN: the write that raises.*/\ttoy_write(device, TOY_IRQ_RAISE, 2);\
\ttoy_write(device, TOY_IRQ_ACK, toy_read(device, TOY_IRQ_STATUS));/
		s/return -EOPNOTSUPP/return 0/' "$work/drivers/toy/toy.c"
}

# A copy of the build, lest that at hand is linked with the toy.
build_dir()
{
	mkdir "$work/build"
	tar -C "${O:-$top/build}" --exclude=./log -cf - . | tar -C "$work/build" -xf -
}

main()
{
	local status=0 objection='' log=$work/stdout

	tap_begin
	tap_plan 3
	build_dir
	"$top/scripts/new-driver.sh" toy "$work/drivers" >/dev/null 2>&1
	fill_in
	cd "$top"
	O=$work/build DRIVERS=$work/drivers ./run.sh --no-posting --lab-device edu \
		--log-dir "$work/log" "$@" vfio_pci_driver_test >"$log" 2>"$work/stderr" ||
		status=$?

	((status == 0)) || objection="status $status: $(tail -n 1 "$work/stderr")"
	tap_result the_suite_is_content_with_it "$objection" "$(grep -B 5 'not ok' "$log" || true)"
	objection=''
	grep -q '# driver toy: 1 vectors of msi from 0 on' "$log" || objection='not so'
	tap_result it_replaces_the_driver_of_the_tree "$objection" \
		"$(grep '# driver' "$log" || true)"
	objection=''
	grep -q 'SKIP toy cannot copy memory yet' "$log" || objection='not so'
	tap_result what_it_cannot_do_is_skipped_by_its_own_words "$objection" \
		"$(grep SKIP "$log" || true)"
	tap_end
}

main "$@"
