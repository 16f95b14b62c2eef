# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# Sourced by scripts/check: what can be said of the sources without running them. Each check prints
# what is wrong, one finding a line, and nothing if all is well. They run in the top directory.

# Without what is QEMU's to judge, by tests/unit/qemu_series_test.sh.
source_files()
{
	find .ci bench completions drivers fleet guest host include judge lab lib man scripts \
		tests run.sh Makefile -type f |
		grep -vE '\.(md|orig|rej)$|~$|/\.[^/]*$|^lab/qemu/(files|patches)/' | sort
}

c_sources()
{
	source_files | grep '\.[ch]$'
}

shell_sources()
{
	local file

	for file in $(source_files); do
		head -n 3 "$file" | grep -qE '^#!.*sh$|^# shellcheck shell=' || continue
		printf '%s\n' "$file"
	done
}

check_shellcheck()
{
	# shellcheck disable=SC2046 # a list of words
	shellcheck -S style -f gcc $(shell_sources) 2>&1 || true
}

# What checkpatch knows only of the kernel itself. In user space there is no BIT(), no __printf(),
# no strscpy() to prefer. Registers of a device are volatile. Fixture variants, the IOMMU modes and
# assertions are macros that make declarations or leave the function, as in the kernel's own
# kselftest_harness.h. Sentences for the user are split; nobody greps for them in a kernel log.
# An ASSERT_EQ() is more than one statement and needs the braces that checkpatch finds needless.
# And it takes the pointer FIXTURE_DATA(x) *self for a product.
checkpatch_ignored()
{
	printf '%s,' PREFER_DEFINED_ATTRIBUTE_MACRO STRCPY STRNCPY MINMAX ARRAY_SIZE \
		AVOID_EXTERNS VOLATILE NEW_TYPEDEFS \
		COMPLEX_MACRO MULTISTATEMENT_MACRO_USE_DO_WHILE MACRO_WITH_FLOW_CONTROL \
		TRAILING_SEMICOLON BRACES \
		SPLIT_STRING QUOTED_WHITESPACE_BEFORE_NEWLINE FILE_PATH_CHANGES
}

check_checkpatch()
{
	c_sources | xargs -r -n 12 -P 2 perl "$KSRC/scripts/checkpatch.pl" --no-tree --file \
		--terse --no-summary --quiet --show-types --max-line-length=100 \
		--ignore "$(checkpatch_ignored)" 2>&1 |
		grep -v "SPACING: need consistent spacing around '\*'" || true
}

# A string of a C source stays in one piece.
check_line_length()
{
	local file

	for file in $(source_files); do
		expand "$file" | awk -v file="$file" '
			file ~ /\.[ch]$/ && /"/ { next }
			length($0) > 100 { print file ":" FNR ": " length($0) " columns" }'
	done
}

# Of kernel style: a function's braces stand alone in the first column.
check_function_length()
{
	# shellcheck disable=SC2046 # a list of words
	awk '
		FNR == 1 { start = 0 }
		/^{$/ { start = FNR }
		/^}/ && start {
			lines = FNR - start - 1
			if (lines > 60)
				print FILENAME ":" start ": a function of " lines " lines"
			start = 0
		}' $(c_sources) $(shell_sources)
}

check_licence()
{
	local file

	for file in $(source_files); do
		head -n 3 "$file" | grep -q 'SPDX-License-Identifier: GPL-2.0-only' ||
			printf '%s: no SPDX line\n' "$file"
	done
}

check_relative_includes()
{
	# shellcheck disable=SC2046 # a list of words
	grep -nE '^[[:space:]]*#[[:space:]]*include[[:space:]]*["<][^">]*\.\.' $(c_sources) || true
}

# includes ALLOW|FORBID PATTERN PLACE...: the #include lines that may not be there.
includes()
{
	local rule=$1 pattern=$2 invert=()

	shift 2
	[[ $rule == FORBID ]] || invert=(-v)
	find "$@" -name '*.[ch]' -exec grep -nHE '^[[:space:]]*#[[:space:]]*include' {} + |
		grep -E "${invert[@]}" "include[[:space:]]*[<\"]($pattern)" || true
}

# tests -> host -> lib, drivers -> lib, guest -> include/guest. lib/ and drivers/ know no KVM,
# guest/ knows no libc: of the KVM library it may use what runs in a guest.
check_include_direction()
{
	local kvm='kvm_|kvm/|linux/kvm|ucall|processor\.h|apic\.h|vmx\.h|svm|kselftest|test_util'
	local guest='guest/|apic\.h|processor\.h|ucall_common\.h|linux/types\.h|linux/const\.h'

	guest+='|asm/[a-z-]*\.h|stdint\.h|stddef\.h|stdbool\.h'
	includes FORBID "host/|guest/|tests/|drivers/|$kvm" lib include/libvfio
	includes FORBID "host/|guest/|tests/|drivers/|$kvm" drivers
	includes FORBID 'tests/|drivers/' host include/host
	includes FORBID 'drivers/' tests include/tests
	includes ALLOW "$guest" guest
	includes ALLOW 'guest/|linux/types\.h|stdint\.h|stddef\.h|stdbool\.h' include/guest
}

# A public header needs nothing included before it.
check_headers()
{
	local flags header

	flags=$(make -s --no-print-directory print-header-flags) || { echo "no flags" && return; }
	flags=${flags//-MMD/}
	flags=${flags//-MP/}
	find include -name '*.h' | sort | while read -r header; do
		# shellcheck disable=SC2086 # a list of words
		printf '#include <%s>\n#include <%s>\n' "${header#include/}" "${header#include/}" |
			"${CC:-gcc}" $flags -Werror -fsyntax-only -x c - 2>&1 |
			sed "s|^|$header: |" | head -n 5
	done
}

# The README's tables are kept by hand, so that they say something.
check_readme()
{
	local file name

	for file in tests/*_test.c tests/*_test.sh drivers/*/; do
		[[ -e $file ]] || continue
		name=$(basename "${file%.*}")
		grep -q "^| \`$name\`" README.md || printf 'README.md: no row for %s\n' "$name"
	done
}
