// SPDX-License-Identifier: GPL-2.0-only
#include <cpuid.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <host/delivery_path.h>
#include <libvfio/assert.h>
#include <libvfio/proc_interrupts.h>

/* VT-d spec 3.0, 10.4.2: CAP.PI, posting support. */
#define VTD_CAP_PI (1ULL << 59)
/* AMD IOMMU spec 3.0, MMIO 0x30: EFR.GAMSup; 1 is the mode with a GA log, that Linux uses. */
#define AMD_EFR_GAM_SHIFT 21
#define AMD_EFR_GAM_MASK 7ULL
/* MMIO 0x1a0: EFR2.SNPAVICSup; 1 is the same, and needed where SNP is on. */
#define AMD_EFR2_SNPAVIC_SHIFT 5
#define AMD_EFR2_SNPAVIC_MASK 7ULL

/* "Hygo" of HygonGenuine, which cpuid.h of gcc 12 lacks. */
#define HYGON_EBX 0x6f677948

#define PARAMETER(_module, _name) "/sys/module/" _module "/parameters/" _name

const char *delivery_path_name(enum delivery_path path)
{
	static const char *const names[] = {
		[DELIVERY_EVENTFD] = "eventfd",
		[DELIVERY_REMAPPED] = "remapped",
		[DELIVERY_POSTED] = "posted",
		[DELIVERY_MIXED] = "mixed",
		[DELIVERY_IMPOSSIBLE] = "impossible",
	};

	return names[path];
}

/* The first line of a file without its newline; false if there is no such file. */
static bool read_line(const char *path, char *line, size_t size)
{
	FILE *file = fopen(path, "r");
	bool read;

	if (!file)
		return false;

	read = fgets(line, size, file);
	fclose(file);
	if (read)
		line[strcspn(line, "\n")] = '\0';
	return read;
}

/* Module parameters of type bool read Y or N, those of type int 1 or 0. */
static bool parameter_is(const char *path, const char *values)
{
	char value[16];

	return read_line(path, value, sizeof(value)) && strchr(values, *value);
}

static bool parameter_is_off(const char *path)
{
	return parameter_is(path, "N0");
}

static bool parameter_is_on(const char *path)
{
	return parameter_is(path, "Y1");
}

static bool vtd_can_post(const char *path)
{
	char line[64];

	return read_line(path, line, sizeof(line)) && strtoull(line, NULL, 16) & VTD_CAP_PI;
}

/* The file says "EFR:EFR2". */
static bool amd_can_post(const char *path)
{
	bool snp = parameter_is_on(PARAMETER("kvm_amd", "sev_snp"));
	unsigned long long efr, efr2 = 0;
	char line[64], *colon;

	if (!read_line(path, line, sizeof(line)))
		return false;

	efr = strtoull(line, &colon, 16);
	if (*colon == ':')
		efr2 = strtoull(colon + 1, NULL, 16);
	return (efr >> AMD_EFR_GAM_SHIFT & AMD_EFR_GAM_MASK) == 1 &&
	       (!snp || (efr2 >> AMD_EFR2_SNPAVIC_SHIFT & AMD_EFR2_SNPAVIC_MASK) == 1);
}

/* Whether there are IOMMUs of one kind, and each of them passes @can_post. */
static bool all_iommus_can_post(const char *pattern, bool (*can_post)(const char *path))
{
	bool all = false;
	glob_t found;

	if (!glob(pattern, 0, NULL, &found)) {
		all = true;
		for (size_t i = 0; i < found.gl_pathc; i++)
			all = all && can_post(found.gl_pathv[i]);
	}

	globfree(&found);
	return all;
}

/* The module that runs VMs here; the other vendor's may be built in as well, and say nothing. */
static bool kvm_is_amd(void)
{
	unsigned int eax, ebx, ecx, edx;

	__cpuid(0, eax, ebx, ecx, edx);
	return ebx == signature_AMD_ebx || ebx == HYGON_EBX;
}

static bool has_word(const char *list, const char *word)
{
	size_t length = strlen(word);

	for (; *list; list += strcspn(list, ","), list += *list == ',') {
		if (strcspn(list, ",") == length && !strncmp(list, word, length))
			return true;
	}

	return false;
}

const char *delivery_posting_forbidden(const char *parameters)
{
	char *copy = strdup(parameters), *save;
	const char *reason = NULL;

	VFIO_ASSERT_NOT_NULL(copy);
	for (char *word = strtok_r(copy, " \n", &save); word; word = strtok_r(NULL, " \n", &save)) {
		const char *value = strchr(word, '=') ? strchr(word, '=') + 1 : "";
		size_t name = strcspn(word, "=");

		if (!strcmp(word, "nointremap"))
			reason = "the kernel was booted with nointremap";
		else if (name == 8 && !strncmp(word, "intremap", 8) && has_word(value, "off"))
			reason = "the kernel was booted with intremap=off";
		else if (name == 8 && !strncmp(word, "intremap", 8) && has_word(value, "nopost"))
			reason = "the kernel was booted with intremap=nopost";
		else if (name == 14 && !strncmp(word, "amd_iommu_intr", 14) &&
			 strstr(value, "legacy"))
			reason = "the kernel was booted with amd_iommu_intr=legacy";
	}

	free(copy);
	return reason;
}

/* Before 6.16 nobody says whether interrupts are posted, but all it depends on can be seen. */
static const char *posting_missing_by_parts(void)
{
	char parameters[4096];
	const char *reason;

	VFIO_ASSERT_TRUE(read_line("/proc/cmdline", parameters, sizeof(parameters)));
	reason = delivery_posting_forbidden(parameters);
	if (reason)
		return reason;

	if (all_iommus_can_post("/sys/class/iommu/*/intel-iommu/cap", vtd_can_post) ||
	    all_iommus_can_post("/sys/class/iommu/*/amd-iommu/features", amd_can_post))
		return NULL;

	return "the IOMMU cannot post (VT-d CAP.PI, AMD-Vi EFR.GAMSup)";
}

const char *delivery_posting_missing(void)
{
	bool amd = kvm_is_amd();

	if (amd && parameter_is_off(PARAMETER("kvm_amd", "avic")))
		return "kvm_amd.avic=N";
	if (!amd && parameter_is_off(PARAMETER("kvm_intel", "enable_apicv")))
		return "kvm_intel.enable_apicv=N";

	/* KVM's own answer, which has asked the IOMMU. */
	if (amd && parameter_is_off(PARAMETER("kvm_amd", "enable_device_posted_irqs")))
		return "kvm_amd.enable_device_posted_irqs=N";
	if (!amd && parameter_is_off(PARAMETER("kvm_intel", "enable_device_posted_irqs")))
		return "kvm_intel.enable_device_posted_irqs=N";

	return delivery_kernel_says() ? NULL : posting_missing_by_parts();
}

bool delivery_kernel_says(void)
{
	return !access(kvm_is_amd() ? PARAMETER("kvm_amd", "enable_device_posted_irqs") :
				      PARAMETER("kvm_intel", "enable_device_posted_irqs"), R_OK);
}

enum delivery_path delivery_expected(void)
{
	return delivery_posting_missing() ? DELIVERY_REMAPPED : DELIVERY_POSTED;
}

enum delivery_path delivery_expected_inhibited(void)
{
	return kvm_is_amd() ? DELIVERY_REMAPPED : delivery_expected();
}

const char *delivery_wakeup_name(void)
{
	return kvm_is_amd() ? "GA log" : "PIW";
}

static bool sum_interrupts(const char *pattern, u64 *sum)
{
	FILE *stream = fopen("/proc/interrupts", "r");
	int ret;

	VFIO_ASSERT_NOT_NULL(stream);
	ret = proc_interrupts_sum(stream, pattern, sum);
	fclose(stream);
	return !ret;
}

u64 delivery_wakeups(void)
{
	u64 sum = 0;

	if (!kvm_is_amd())
		sum_interrupts("PIW", &sum);
	else if (!sum_interrupts("AMD-Vi*-GA", &sum))
		sum_interrupts("AMD-Vi", &sum);

	return sum;
}

struct delivery_probe delivery_probe_begin(const char *bdf, u32 index, u32 vector)
{
	struct delivery_probe probe = { .bdf = bdf, .index = index, .vector = vector };
	struct proc_interrupt line;
	int ret = vfio_pci_host_irq(bdf, index, vector, &line);

	VFIO_ASSERT_EQ(ret, 0, "/proc/interrupts has no line for vector %u of %s: %s",
		       vector, bdf, strerror(-ret));
	probe.host_irq = line.irq;
	probe.before = line.count;
	return probe;
}

u64 delivery_probe_host_irqs(const struct delivery_probe *probe)
{
	u64 count;
	int ret = irq_count(probe->host_irq, &count);

	VFIO_ASSERT_EQ(ret, 0, "irq %u is gone: %s", probe->host_irq, strerror(-ret));
	return count - probe->before;
}

enum delivery_path delivery_classify(u64 sent, u64 host_irqs, bool posting_possible)
{
	if (!sent || host_irqs > sent || (!host_irqs && !posting_possible))
		return DELIVERY_IMPOSSIBLE;
	if (host_irqs == sent || !posting_possible)
		return DELIVERY_REMAPPED;

	return host_irqs ? DELIVERY_MIXED : DELIVERY_POSTED;
}

enum delivery_path delivery_combine(enum delivery_path a, enum delivery_path b)
{
	if (a == b)
		return a;

	return a == DELIVERY_IMPOSSIBLE || b == DELIVERY_IMPOSSIBLE ? DELIVERY_IMPOSSIBLE :
								     DELIVERY_MIXED;
}
