# SPDX-License-Identifier: GPL-2.0-only
#
#   make                the test programs, in build/tests/
#   make check          all tests of the project: static checks, unit tests, the lab
#   make check-unit     the quick part of it: no lab, no root
#   make bench          ratios of our interrupt rate to upstream's; what VFIO and copies cost
#   make bench-vfio     only what VFIO itself costs
#   make dist           an archive of run.sh and the programs, for machines that build nothing
#   make judge          the posting lab's emulation, judged by software of others
#
#   KSRC=DIR            kernel tree to take kvm_util, uapi headers and the harness from
#   O=DIR               where to build, default: build
#   DRIVERS=DIR         one more directory of drivers, laid out as drivers/
#   V=1 W=1             show the commands; more warnings

O ?= build
V ?= 0
# make's own default is cc.
ifeq ($(origin CC),default)
CC := gcc
endif

MAKEFLAGS += --no-builtin-rules --no-print-directory
.SUFFIXES:
.DELETE_ON_ERROR:
.SECONDARY:

ifeq ($(V),1)
say := @:
Q :=
else
say = @printf '  %-7s %s\n'
Q := @
endif

no_build_goals := clean help
ifneq ($(filter-out $(no_build_goals),$(or $(MAKECMDGOALS),all)),)
ifneq ($(wildcard scripts/install-deps),)
ifneq ($(shell scripts/install-deps build $(if $(filter check,$(MAKECMDGOALS)),lab check) \
	$(if $(filter bench bench-vfio,$(MAKECMDGOALS)),lab bench) \
	$(if $(filter judge,$(MAKECMDGOALS)),lab) >&2; \
	echo $$?),0)
$(error what the build needs is missing, see the line above)
endif
endif
override KSRC := $(shell KSRC='$(KSRC)' scripts/kernel-tree)
ifeq ($(KSRC),)
$(error no kernel tree to build from, see the line above)
endif
endif
export KSRC

# The kernel tree ---------------------------------------------------------------------------

selftests := $(KSRC)/tools/testing/selftests
kvm := $(selftests)/kvm
# Renamed between 6.12 and 6.14.
kvm_arch := $(notdir $(firstword $(wildcard $(kvm)/lib/x86 $(kvm)/lib/x86_64)))
kvm_makefile := $(firstword $(wildcard $(kvm)/Makefile.kvm) $(kvm)/Makefile)
libkvm_sources := $(if $(KSRC),$(shell sed -n \
	's/^LIBKVM\(_STRING\|_$(kvm_arch)\)\{0,1\} += lib/lib/p' $(kvm_makefile)))
libkvm_objects := $(patsubst lib/%,$(O)/libkvm/%.o,$(libkvm_sources))

uapi := $(O)/uapi/usr/include
tree_includes := -isystem $(KSRC)/tools/include -isystem $(KSRC)/tools/arch/x86/include \
	-isystem $(uapi)
kvm_includes := -isystem $(kvm)/include -isystem $(kvm)/include/$(kvm_arch) \
	-isystem $(selftests)

# What kvm_util demands of everything it is linked with: guest code runs from the same ELF,
# so no PIE, no stack protector, no fortification and none of libc's string functions. The
# red zone would be overwritten by interrupts taken on the guest's stack.
common_flags := -std=gnu11 -O2 -g -D_GNU_SOURCE= -DCONFIG_64BIT -U_FORTIFY_SOURCE \
	-fno-builtin-memcmp -fno-builtin-memcpy -fno-builtin-memset -fno-builtin-strnlen \
	-fno-stack-protector -fno-PIE -fno-strict-aliasing -march=x86-64-v2 -mno-red-zone -MD -MP
warnings := -Wall -Wextra -Wstrict-prototypes -Wmissing-prototypes -Wno-unused-parameter \
	-Wno-format-zero-length
ifeq ($(W),1)
warnings += -Wshadow -Wcast-qual -Wpointer-arith
endif
our_flags := $(common_flags) $(warnings) -Iinclude

lib_flags := $(our_flags) $(tree_includes)
# What include/host/kvm_compat.h has to know about the tree.
kvm_compat := $(if $(KSRC),$(shell grep -q vm_vaddr_alloc $(kvm)/include/kvm_util.h && \
	echo -DKVM_UTIL_HAS_VM_VADDR_ALLOC))
# The registers of Intel's network devices: <igb/e1000_regs.h> and its like; of its DMA engines:
# <ioat/registers.h>, <idxd/registers.h>, which may want <uapi/linux/idxd.h>; and of the devices
# that are ours, which driver and model share.
driver_flags := $(lib_flags) -isystem $(KSRC)/drivers/net/ethernet/intel \
	-isystem $(KSRC)/drivers/dma -idirafter $(KSRC)/include -isystem lab/qemu/files/include
# Of Linux 6.19; vfio_live_update_test skips without it.
tree_compat := $(if $(wildcard $(KSRC)/include/uapi/linux/liveupdate.h),-DHAVE_LINUX_LIVEUPDATE_H)
host_flags := $(our_flags) $(tree_includes) $(kvm_includes) $(kvm_compat) $(tree_compat)
# handlers.S saves the general registers only. libc's inline functions on doubles are not
# compiled without SSE registers, hence __NO_INLINE__.
guest_flags := $(host_flags) -mgeneral-regs-only -D__NO_INLINE__
libkvm_flags := $(common_flags) -Wno-gnu-variable-sized-type-not-at-end -w \
	$(tree_includes) -I$(kvm)/include -I$(kvm)/include/$(kvm_arch) -I$(selftests) \
	-I$(selftests)/cgroup/lib/include

# What is built -------------------------------------------------------------------------------

lib_objects := $(patsubst %.c,$(O)/%.o,$(wildcard lib/*.c))
driver_objects := $(patsubst %.c,$(O)/%.o,$(wildcard drivers/*/*.c)) \
	$(if $(DRIVERS),$(patsubst $(DRIVERS)/%.c,$(O)/out-of-tree/%.o, \
		$(wildcard $(DRIVERS)/*/*.c)))
host_objects := $(patsubst %.c,$(O)/%.o,$(wildcard host/*.c tests/common/*.c))
guest_objects := $(patsubst %.c,$(O)/%.o,$(wildcard guest/*.c))
programs := $(patsubst %.c,$(O)/%,$(wildcard tests/*_test.c tests/unit/*_test.c \
	tests/unit/*_samples.c))
scripts := $(patsubst %.sh,$(O)/%,$(wildcard tests/*_test.sh))
lab_programs := $(patsubst %.c,$(O)/%,$(wildcard lab/*.c))

.PHONY: all check check-unit bench bench-vfio clean help
all: $(programs) $(scripts) $(lab_programs)

# Rebuild everything when the compiler, the flags or the tree change; touch nothing otherwise, nor
# if the directory was copied elsewhere.
settings := $(CC) $(shell $(CC) -dumpfullversion 2>/dev/null) $(KSRC) \
	$(if $(KSRC),$(shell git -C $(KSRC) rev-parse HEAD 2>/dev/null)) \
	$(driver_flags) $(guest_flags) $(libkvm_flags)
# Link again when an object comes, goes, or comes from elsewhere.
linked := $(DRIVERS) $(lib_objects) $(driver_objects) $(host_objects) $(guest_objects)
remember = $(shell mkdir -p $(O); printf '%s\n' '$(1)' | cmp -s - $(O)/$(2) || \
	printf '%s\n' '$(1)' >$(O)/$(2))
ifneq ($(KSRC),)
$(call remember,$(subst $(uapi),uapi,$(settings)),settings)
$(call remember,$(linked),linked)
$(call remember,$(DRIVERS),out-of-tree-drivers)
endif

$(O)/uapi/done: $(O)/settings
	$(say) UAPI $(KSRC)
	$(Q)mkdir -p $(O)/uapi
	$(Q)MAKEFLAGS= $(MAKE) -s -C $(KSRC) O=$(abspath $(O)/uapi) ARCH=x86 headers \
		>$(O)/uapi/log 2>&1 || { tail -5 $(O)/uapi/log >&2; \
		echo "cannot make the uapi headers of $(KSRC): a tree that was built in place" \
		"needs 'make mrproper' first" >&2; exit 1; }
	$(Q)touch $@

ordered := $(O)/settings $(O)/uapi/done

define compile
	$(say) CC $<
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(1) -c $< -o $@
endef

$(O)/lib/%.o: lib/%.c $(ordered)
	$(call compile,$(lib_flags) -Ilib)
$(O)/drivers/%.o: drivers/%.c $(ordered)
	$(call compile,$(driver_flags) -I$(<D))
$(O)/out-of-tree/%.o: $(DRIVERS)/%.c $(ordered) $(O)/out-of-tree-drivers
	$(call compile,$(driver_flags) -DVFIO_PCI_DRIVER_OUT_OF_TREE -I$(<D))
$(O)/host/%.o: host/%.c $(ordered)
	$(call compile,$(host_flags))
$(O)/guest/%.o: guest/%.c $(ordered)
	$(call compile,$(guest_flags))
# The harness makes functions without prototypes of a fixture's parts.
$(O)/tests/%.o: tests/%.c $(ordered)
	$(call compile,$(host_flags) -isystem lab/qemu/files/include -Wno-missing-prototypes)

# memcmp() and friends must not be turned into calls of themselves.
$(O)/libkvm/string_override.c.o: extra_flags := -ffreestanding
$(O)/libkvm/%.o: $(kvm)/lib/% $(ordered)
	$(say) CC kvm/lib/$*
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(libkvm_flags) $(extra_flags) -c $< -o $@

$(O)/libkvm.a: $(libkvm_objects)
	$(say) AR $@
	$(Q)rm -f $@ && $(AR) rcs $@ $^

# Archives, so that a program which needs no KVM is linked without kvm_util, whose constructor
# ends it where there is none. Drivers register themselves and are linked in any case.
$(O)/libhost.a: $(filter $(O)/host/%,$(host_objects)) $(guest_objects) $(O)/linked
	$(say) AR $@
	$(Q)rm -f $@ && $(AR) rcs $@ $(filter %.o,$^)

common_objects := $(filter $(O)/tests/%,$(host_objects)) $(driver_objects) $(lib_objects)
$(programs): $(O)/%: $(O)/%.o $(common_objects) $(O)/libhost.a $(O)/libkvm.a $(O)/linked
	$(say) LD $@
	$(Q)$(CC) -static -no-pie -pthread $(filter %.o %.a,$^) -o $@

$(scripts): $(O)/%: %.sh
	$(Q)install -D -m 755 $< $@

$(lab_programs): $(O)/%: %.c $(O)/settings
	$(say) CC $<
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) -std=gnu11 -O2 -D_GNU_SOURCE= $(warnings) -static -pthread $< -o $@

# Upstream's irq_test, a peer to compare with; its libvfio is built from the tree as it stands.
upstream := $(if $(wildcard $(kvm)/irq_test.c),$(kvm)/irq_test.c \
	$(wildcard $(selftests)/vfio/lib/*.c $(selftests)/vfio/lib/drivers/*/*.c))
upstream_objects := $(patsubst $(selftests)/%.c,$(O)/upstream/%.o,$(upstream))

$(O)/upstream/%.o: $(selftests)/%.c $(ordered)
	$(say) CC $*.c
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(libkvm_flags) -I$(selftests)/vfio/lib/include -c $< -o $@

$(O)/bench/irq_test: $(upstream_objects) $(O)/libkvm.a
	$(say) LD $@
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) -static -no-pie -pthread $^ -luuid -o $@

$(O)/bench/%.o: bench/%.c $(ordered)
	$(call compile,$(host_flags) -Ibench)
$(O)/bench/irq_bench: $(O)/bench/irq_bench.o $(driver_objects) $(lib_objects) $(O)/libhost.a \
		$(O)/libkvm.a $(O)/linked
	$(say) LD $@
	$(Q)$(CC) -static -no-pie -pthread $(filter %.o %.a,$^) -o $@

vfio_benches := $(patsubst %.c,$(O)/%,$(wildcard bench/*_perf_test.c))
$(vfio_benches): %: %.o $(O)/bench/samples.o $(O)/bench/options.o $(driver_objects) \
		$(lib_objects) $(O)/linked
	$(say) LD $@
	$(Q)$(CC) -static -no-pie -pthread $(filter %.o,$^) -o $@

# One program, linked with our library and with upstream's, if that can drive a device of the lab.
upstream_vfio_objects := $(filter $(O)/upstream/vfio/%,$(upstream_objects))
$(O)/bench/memcpy_bench: $(O)/bench/memcpy_bench.o $(driver_objects) $(lib_objects) $(O)/linked
	$(say) LD $@
	$(Q)$(CC) -static -no-pie -pthread $(filter %.o,$^) -o $@
$(O)/bench/memcpy_bench_upstream: bench/memcpy_bench.c $(upstream_vfio_objects) $(ordered)
	$(say) LD $@
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(libkvm_flags) -I$(selftests)/vfio/lib/include -DWITH_UPSTREAM \
		-static -no-pie -pthread $(filter %.c %.o,$^) -luuid -o $@

upstream_igb := $(wildcard $(selftests)/vfio/lib/drivers/igb)
bench: $(O)/bench/irq_bench $(if $(upstream),$(O)/bench/irq_test) $(O)/bench/memcpy_bench \
		$(if $(upstream_igb),$(O)/bench/memcpy_bench_upstream) $(vfio_benches)
	$(Q)O=$(O) KSRC=$(KSRC) scripts/bench
	$(Q)O=$(O) KSRC=$(KSRC) scripts/bench-vfio
	$(Q)O=$(O) KSRC=$(KSRC) scripts/bench-memcpy
bench-vfio: $(vfio_benches)
	$(Q)O=$(O) KSRC=$(KSRC) scripts/bench-vfio

# What judges the posting lab: the KVM selftests of the tree as they stand, those of the list that
# it has, and the first process of a nested Linux.
judge_names := $(shell sed -n 's/^\([a-z][a-z0-9_]*\).*/\1/p' judge/kvm-selftests)
judge_sources := $(foreach name,$(judge_names),\
	$(wildcard $(kvm)/$(kvm_arch)/$(name).c $(kvm)/$(name).c))
judge_programs := $(patsubst %.c,$(O)/judge/kvm/%,$(notdir $(judge_sources)))

$(O)/judge/kvm/%: $(O)/upstream/kvm/%.o $(O)/libkvm.a
	$(say) LD $@
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) -static -no-pie -pthread $^ -o $@
$(O)/judge/kvm/%: $(O)/upstream/kvm/$(kvm_arch)/%.o $(O)/libkvm.a
	$(say) LD $@
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) -static -no-pie -pthread $^ -o $@

$(O)/judge/nested-init: judge/nested-init.c $(O)/settings
	$(say) CC $<
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) -std=gnu11 -O2 -D_GNU_SOURCE= $(warnings) -static -pthread $< -o $@

.PHONY: judge judge-programs
judge-programs: $(judge_programs) $(O)/judge/nested-init
judge: judge-programs
	$(Q)O=$(O) KSRC=$(KSRC) CC="$(CC)" scripts/judge

.PHONY: dist
dist: all
	$(Q)O=$(O) scripts/dist

check: all
	$(Q)O=$(O) KSRC=$(KSRC) CC="$(CC)" scripts/check
check-unit: all
	$(Q)O=$(O) KSRC=$(KSRC) CC="$(CC)" scripts/check --unit

# For scripts/check: how to compile one public header by itself.
.PHONY: print-header-flags
print-header-flags:
	@echo '$(host_flags)'

clean:
	rm -rf $(O)

help:
	@sed -n '3,/^$$/s/^# \{0,1\}//p' Makefile

-include $(shell find $(O) -name '*.d' 2>/dev/null)
