#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Every block of README.md and docs/ that is set off by four blanks or by ``` is run as it stands,
# or it is listed here with the reason why not. It runs in a copy of the tree on a made-up machine,
# in which run.sh and lab/boot.sh say what they would do, and whatever takes time is made up: what
# is found is a command or an option that is not there any more.

set -euo pipefail
build=$(realpath "${O:-build}")
unset O KSRC QEMU QEMU_SRC VFIO_SELFTESTS_BDF KVM_VFIO_TESTS_LAB KVM_VFIO_TESTS_OUTER

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
work=$(mktemp -d "${TMPDIR:-/tmp}/documents.XXXXXX")
trap 'rm -rf "$work"' EXIT
tree=$work/tree
machine=$work/machine
# shellcheck source=scripts/tap.sh
. "$top/scripts/tap.sh"

# FILE|how the first line of the block begins|why it is not run
exempt=(
	'README.md|delivered: 640 posted, 88 remapped, 40 by eventfd|what run.sh prints'
	'README.md|./run.sh -d 0000:01:00.0 [-d ...] [TEST...]|a synopsis'
	'README.md|kernel   mode     VT-d              AMD-Vi|what run.sh prints'
	'README.md|scripts/kernel-config ~/linux|needs a kernel tree and builds it'
	'README.md|git bisect start BAD GOOD|needs a kernel tree with its history'
	'README.md|./run.sh --junit run.xml|compares with a result that is not there'
	'docs/report.md|./run.sh --junit run.xml --json run.json|a synopsis'
	'docs/report.md|scripts/report.py --html run.html|needs the log of a run'
	'docs/report.md|./run.sh TEST |needs the results of a run'
	'docs/adding-a-test.md|// SPDX-License-Identifier: GPL-2.0-only|C'
	'docs/adding-a-test.md|device_irqs_begin(irqs);|C'
	'docs/fleet.md|cp -r ~/linux/tools/testing/selftests/run_kselftest.sh \|dist_test runs it'
	'docs/fleet.md|- test:|YAML'
	'docs/fleet.md|tmt run -a|no tmt in Debian'
	'docs/lab.md|delivered: 640 posted, 88 remapped, 40 by eventfd|what run.sh prints'
	'docs/posting-lab.md|AMD-Vi: Virtual APIC enabled|what the kernel prints'
	'docs/posting-lab.md|device           a 32-bit write to FEEx_xxxxh|a picture'
)

# The made-up world --------------------------------------------------------------------------------

# script FILE BODY
script()
{
	mkdir -p "${1%/*}"
	printf '#!/usr/bin/env bash\n%s\n' "$2" >"$1"
	chmod +x "$1"
}

# device BDF GROUP: idle, on a machine with everything on.
device()
{
	local directory=$machine/sys/bus/pci/devices/$1 group=$machine/sys/kernel/iommu_groups/$2

	mkdir -p "$directory" "$group/devices" "$machine/sys/bus/pci/drivers/vfio-pci"
	printf '0x010802\n' >"$directory/class"
	printf '0x1234\n' >"$directory/vendor"
	printf '0x11e8\n' >"$directory/device"
	printf '(null)\n' >"$directory/driver_override"
	ln -s "../../../../kernel/iommu_groups/$2" "$directory/iommu_group"
	ln -s "../../../../bus/pci/devices/$1" "$group/devices/$1"
	ln -s ../../drivers/vfio-pci "$directory/driver"
}

make_machine()
{
	mkdir -p "$machine/sys/kernel/irq/9" "$machine/proc/self"
	printf 'IR-IO-APIC\n' >"$machine/sys/kernel/irq/9/chip_name"
	: >"$machine/proc/self/mountinfo"
	: >"$machine/proc/swaps"
	device 0000:01:00.0 7
	device 0000:c1:00.0 8
	: >"$machine/sys/bus/pci/drivers_probe"
}

# What a target or variable of make has to be: one of the Makefile.
fake_make()
{
	cat <<-'END'
	for word; do
		case $word in
		-*) ;;
		*=*) grep -q "$(echo "\$(${word%%=*})")" Makefile || exit 1 ;;
		*) grep -qE "^$word:" Makefile || { echo "no target $word" >&2 && exit 1; } ;;
		esac
	done
	END
}

# The options of the lab's front door, up to the command that runs there.
fake_boot()
{
	cat <<-'END'
	while (($#)) && [[ $1 != -- ]]; do
		[[ $1 != --* ]] || grep -q -e "^	  $1 " "$0.real" ||
			{ echo "no option $1" >&2 && exit 1; }
		shift
	done
	shift
	exec "$@"
	END
}

make_tree()
{
	local directory

	mkdir -p "$tree/build/tests" "$work"/home/linux{,-next} "$work/kvm-vfio-tests"
	for directory in completions drivers fleet lab man scripts tests; do
		cp -r "$top/$directory" "$tree"
	done
	cp "$top"/{Makefile,README.md} "$tree"
	ln -s "$build"/tests/*_test "$tree/build/tests/"
	cp "$top/run.sh" "$tree/real.sh"
	script "$tree/run.sh" 'exec ./real.sh --dry-run "$@"'
	mv "$tree/lab/boot.sh" "$tree/lab/boot.sh.real"
	script "$tree/lab/boot.sh" "$(fake_boot)"
	script "$tree/lab/kernel.sh" 'echo /no/bzImage'
	script "$tree/scripts/kernel-tree" 'echo /no/tree'
	script "$tree/scripts/install-deps" ''
	script "$work/bin/make" "$(fake_make)"
	script "$work/kvm-vfio-tests/run.sh" "cd $tree && exec ./run.sh \"\$@\""
	tar -C "$work" -cJf "$tree/kvm-vfio-tests.tar.xz" kvm-vfio-tests
}

# The blocks ---------------------------------------------------------------------------------------

# Each into a file: which document and line it is from, and the block.
extract()
{
	mkdir "$work/blocks"
	(cd "$top" && awk -v to="$work/blocks/" '
		function begin(depth) {
			out = sprintf("%s%03d", to, ++count)
			printf "%s\n%d\n", FILENAME, FNR + depth >out
		}
		FNR == 1 { inside = fence = 0; before = "" }
		/^```/ {
			fence = !fence
			if (fence)
				begin(1)
			next
		}
		fence { print >out; next }
		/^    / && (inside || before == "") {
			if (!inside)
				begin(0)
			inside = 1
			print substr($0, 5) >out
		}
		/^ ? ? ?[^ ]/ { inside = 0 }
		{ before = $0 }' README.md docs/*.md)
}

# exemption FILE LINE: why it is not run; false if it is.
exemption()
{
	local entry

	for entry in "${exempt[@]}"; do
		if [[ "$1|$2" == "${entry%|*}"* ]]; then
			used+=("${entry%|*}")
			reason=${entry##*|}
			return 0
		fi
	done
	return 1
}

# run_block FILE LINE BLOCK. Names that the reader is to replace stand for one here.
run_block()
{
	local name said status=0 why=''

	name="${1#docs/} ${3%%[#$'\n']*}"
	name=${name//[^A-Za-z0-9]/_}
	said=$(cd "$tree" && sed 's/SUBJECT_test/irq_wakeup_test/; s/ \.\.\.$//' <<<"$3" |
		HOME=$work/home KVM_VFIO_TESTS_ROOT=$machine PATH=$work/bin:$PATH \
			timeout 60 bash -euo pipefail 2>&1) || status=$?
	((status == 0)) || why="$1:$2 ends with $status"
	tap_result "$(sed 's/__*/_/g; s/_$//' <<<"${name:0:60}")" "$why" "$3"$'\n'"$said"
}

main()
{
	local file document line first text used=() entry reason

	extract
	make_machine
	make_tree
	tap_begin
	for file in "$work"/blocks/*; do
		{ read -r document && read -r line && read -r first; } <"$file"
		text=$(tail -n +3 "$file")
		if exemption "$document" "$first"; then
			printf '# not run: %s:%s, %s\n' "$document" "$line" "$reason"
		else
			run_block "$document" "$line" "$text"
		fi
	done
	reason=
	for entry in "${exempt[@]}"; do
		[[ " ${used[*]} " == *"${entry%|*}"* ]] || reason+="${entry%|*} "
	done
	tap_result every_exemption_is_of_a_block "$reason"
	tap_end
}

main
