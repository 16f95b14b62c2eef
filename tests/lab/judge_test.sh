#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The part of `make judge` that takes a few minutes: a selection of the kernel's KVM selftests
# and a nested Linux in both APIC modes, with AVIC on. Bug class: an emulation that our own tests
# were made to agree with. Skips where the lab's QEMU emulates no AVIC.

set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/../.."
export KSRC=${KSRC:-$(scripts/kernel-tree)}
make -s judge-programs >&2 || exit 2
exec scripts/judge --quick
