// SPDX-License-Identifier: GPL-2.0-only
/*
 * What cannot be carried across a live update is refused and works on; what can, arrives.
 *
 * Proves that /dev/liveupdate refuses the descriptors of VFIO, IOMMUFD and KVM without a trace, as
 * long as the kernel has no way to preserve them: nothing stays open, the device and its
 * interrupts work, the session takes other files. That a memfd is preserved once, keeps its
 * size meanwhile, and is free again when its session is closed. And that memory which a device
 * wrote by DMA is there after a kexec, and reachable by DMA again.
 *
 * Bug class: references leaked or dropped by a refused preservation, memory given to somebody
 * else or lost across the kexec.
 *
 * Needs a device bound to vfio-pci, and Linux 7.x with CONFIG_LIVEUPDATE, booted with kho=on and
 * liveupdate=on. The kexec ends the machine's life and with it every other test: its two cases run
 * when KVM_VFIO_TESTS_LIFE says which life this is, see tests/lab/live_update_lab_test.sh.
 *
 * The day the kernel preserves VFIO devices, preserve_device() below succeeds. It is the place to
 * start a long memcpy before the kexec, and device_survived() to wait for it behind and to count
 * the MSIs; until then the device is opened anew.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/reboot.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/kernel.h>
#include <linux/kvm.h>
#include <linux/reboot.h>
#include <linux/sizes.h>

#include <libvfio/deadline.h>
#include <libvfio/dma_region.h>
#include <libvfio/vfio_pci_device.h>
#include <tests/harness.h>

#define SESSION_NAME "kvm-vfio-tests"
#define TOKEN_CARGO 1
#define TOKEN_DEVICE 2
#define TOKEN_IOMMUFD 3

#define CARGO_SIZE SZ_4M
#define IRQ_MS 1000

/* A header of Linux 6.19. */
#ifdef HAVE_LINUX_LIVEUPDATE_H
#include <linux/liveupdate.h>

static int create_session(int liveupdate, const char *name, int *session)
{
	struct liveupdate_ioctl_create_session create = { .size = sizeof(create) };
	int ret;

	memcpy(create.name, name, strnlen(name, sizeof(create.name)));
	ret = ioctl(liveupdate, LIVEUPDATE_IOCTL_CREATE_SESSION, &create) ? -errno : 0;
	*session = ret ? -1 : create.fd;
	return ret;
}

static int retrieve_session(int liveupdate, const char *name, int *session)
{
	struct liveupdate_ioctl_retrieve_session retrieve = { .size = sizeof(retrieve) };
	int ret;

	memcpy(retrieve.name, name, strnlen(name, sizeof(retrieve.name)));
	ret = ioctl(liveupdate, LIVEUPDATE_IOCTL_RETRIEVE_SESSION, &retrieve) ? -errno : 0;
	*session = ret ? -1 : retrieve.fd;
	return ret;
}

static int preserve(int session, int fd, u64 token)
{
	struct liveupdate_session_preserve_fd preserve = {
		.size = sizeof(preserve), .fd = fd, .token = token,
	};

	return ioctl(session, LIVEUPDATE_SESSION_PRESERVE_FD, &preserve) ? -errno : 0;
}

static int retrieve(int session, u64 token, int *fd)
{
	struct liveupdate_session_retrieve_fd retrieve = {
		.size = sizeof(retrieve), .token = token,
	};
	int ret = ioctl(session, LIVEUPDATE_SESSION_RETRIEVE_FD, &retrieve) ? -errno : 0;

	*fd = ret ? -1 : retrieve.fd;
	return ret;
}

static int finish(int session)
{
	struct liveupdate_session_finish finish = { .size = sizeof(finish) };

	return ioctl(session, LIVEUPDATE_SESSION_FINISH, &finish) ? -errno : 0;
}

static const char *live_update_missing(void)
{
	if (access("/dev/liveupdate", F_OK))
		return "no /dev/liveupdate: the kernel lacks CONFIG_LIVEUPDATE, or was booted "
		       "without kho=on liveupdate=on";
	return NULL;
}
#else
static int create_session(int liveupdate, const char *name, int *session) { return -ENOTTY; }
static int retrieve_session(int liveupdate, const char *name, int *session) { return -ENOTTY; }
static int preserve(int session, int fd, u64 token) { return -ENOTTY; }
static int retrieve(int session, u64 token, int *fd) { return -ENOTTY; }
static int finish(int session) { return -ENOTTY; }

static const char *live_update_missing(void)
{
	return "built from a kernel tree without linux/liveupdate.h; KSRC names a newer one";
}
#endif

static int open_live_update(void)
{
	return open("/dev/liveupdate", O_RDWR | O_CLOEXEC);
}

/* The life of the machine that is to be tested, 0 for an ordinary one. */
static int life(void)
{
	const char *life = getenv("KVM_VFIO_TESTS_LIFE");

	return life ? atoi(life) : 0;
}

static int cargo_memfd(u64 size)
{
	int fd = memfd_create("cargo", MFD_CLOEXEC);

	VFIO_ASSERT_GE(fd, 0);
	VFIO_ASSERT_EQ(ftruncate(fd, size), 0);
	return fd;
}

/* Refusals ***********************************************************************************/

FIXTURE(session) {
	int liveupdate;
	int session;
};

FIXTURE_SETUP(session)
{
	SKIP_IF_MISSING(live_update_missing());
	if (life())
		SKIP(return, "this machine is here for its lives only");
	self->liveupdate = open_live_update();
	ASSERT_LE(0, self->liveupdate);
	ASSERT_EQ(0, create_session(self->liveupdate, SESSION_NAME, &self->session));
}

/*
 * Closes a session. A refused file that keeps it open would spoil only the next case: its name has
 * to be free at once. Return: 0, or a negative errno.
 */
static int close_session(int liveupdate, int session)
{
	int again, ret;

	close(session);
	ret = create_session(liveupdate, SESSION_NAME, &again);
	if (!ret)
		close(again);
	return ret;
}

FIXTURE_TEARDOWN(session)
{
	EXPECT_EQ(0, close_session(self->liveupdate, self->session));
	close(self->liveupdate);
}

TEST_F(session, names_and_openers_are_unique)
{
	char too_long[65];
	int other;

	memset(too_long, 'x', sizeof(too_long) - 1);
	too_long[sizeof(too_long) - 1] = '\0';
	EXPECT_EQ(-1, open_live_update());
	EXPECT_EQ(EBUSY, errno);
	EXPECT_EQ(-EEXIST, create_session(self->liveupdate, SESSION_NAME, &other));
	EXPECT_EQ(-EINVAL, create_session(self->liveupdate, "", &other));
	EXPECT_EQ(-EINVAL, create_session(self->liveupdate, too_long, &other));
	/* Nothing has arrived from a life before this one. */
	EXPECT_EQ(-ENOENT, retrieve_session(self->liveupdate, SESSION_NAME, &other));
}

TEST_F(session, a_memfd_is_preserved_once_and_free_after_its_session)
{
	int memfd = cargo_memfd(SZ_64K), other, fd;
	char *memory = mmap(NULL, SZ_64K, PROT_READ | PROT_WRITE, MAP_SHARED, memfd, 0);

	ASSERT_NE(MAP_FAILED, (void *)memory);
	memset(memory, 0x5a, SZ_64K);
	EXPECT_EQ(-EBADF, preserve(self->session, -1, TOKEN_CARGO));
	ASSERT_EQ(0, preserve(self->session, memfd, TOKEN_CARGO));
	EXPECT_EQ(-EEXIST, preserve(self->session, memfd, TOKEN_CARGO));
	EXPECT_EQ(-EBUSY, preserve(self->session, memfd, TOKEN_CARGO + 1));
	ASSERT_EQ(0, create_session(self->liveupdate, SESSION_NAME "-2", &other));
	EXPECT_EQ(-EBUSY, preserve(other, memfd, TOKEN_CARGO));

	/* It is still ours, but its size is settled. Nothing can be taken out before the kexec. */
	memory[0] = 1;
	EXPECT_NE(0, ftruncate(memfd, SZ_128K));
	EXPECT_GT(0, retrieve(self->session, TOKEN_CARGO, &fd));
	EXPECT_GT(0, finish(self->session));

	close(self->session);
	EXPECT_EQ(0, ftruncate(memfd, SZ_128K));
	EXPECT_EQ(0, preserve(other, memfd, TOKEN_CARGO));
	EXPECT_EQ(1, memory[0]);
	EXPECT_EQ(0x5a, memory[SZ_64K - 1]);
	close(other);
	self->session = open("/dev/null", O_RDONLY | O_CLOEXEC);
	munmap(memory, SZ_64K);
	close(memfd);
}

TEST_F(session, a_kvm_fd_is_refused)
{
	int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC), vm, vcpu, memfd = cargo_memfd(SZ_4K);

	if (kvm < 0)
		SKIP(return, "there is no /dev/kvm");
	vm = ioctl(kvm, KVM_CREATE_VM, 0);
	ASSERT_LE(0, vm);
	vcpu = ioctl(vm, KVM_CREATE_VCPU, 0);
	ASSERT_LE(0, vcpu);

	EXPECT_EQ(-ENOENT, preserve(self->session, kvm, TOKEN_DEVICE));
	EXPECT_EQ(-ENOENT, preserve(self->session, vm, TOKEN_DEVICE));
	EXPECT_EQ(-ENOENT, preserve(self->session, vcpu, TOKEN_DEVICE));
	EXPECT_EQ(-ENOENT, preserve(self->session, self->session, TOKEN_DEVICE));

	/* The token was not used up, and the VM is none the worse. */
	EXPECT_EQ(0, preserve(self->session, memfd, TOKEN_DEVICE));
	EXPECT_LE(0, ioctl(vm, KVM_CREATE_VCPU, 1));
	close(vcpu);
	close(vm);
	close(kvm);
	close(memfd);
}

FIXTURE(device) {
	struct iommu *iommu;
	struct vfio_pci_device *device;
	int liveupdate;
	int session;
};

FIXTURE_VARIANT_IOMMU_MODE(device);

#define DEVICE_VARIANT(_mode)								\
FIXTURE_VARIANT_ADD(device, _mode) { .iommu_mode = #_mode };
FOR_EACH_IOMMU_MODE(DEVICE_VARIANT)

FIXTURE_SETUP(device)
{
	SKIP_IF_MISSING(live_update_missing());
	if (life())
		SKIP(return, "this machine is here for its lives only");
	SKIP_IF_MISSING(test_iommu_mode_missing(variant->iommu_mode));
	self->iommu = iommu_init(variant->iommu_mode);
	self->device = vfio_pci_device_init(test_options.bdf, self->iommu);
	self->liveupdate = open_live_update();
	ASSERT_LE(0, self->liveupdate);
	ASSERT_EQ(0, create_session(self->liveupdate, SESSION_NAME, &self->session));
}

FIXTURE_TEARDOWN(device)
{
	EXPECT_EQ(0, close_session(self->liveupdate, self->session));
	close(self->liveupdate);
	vfio_pci_device_cleanup(self->device);
	iommu_cleanup(self->iommu);
}

/* Enables an interrupt and sees it arrive, once. */
static bool interrupts_work(struct vfio_pci_device *device)
{
	for (u32 index = VFIO_PCI_MSIX_IRQ_INDEX; index != UINT32_MAX; index--) {
		u64 count;

		if (!device->irq_info[index].count)
			continue;
		vfio_pci_irq_enable(device, index, 0, 1);
		vfio_pci_irq_trigger(device, index, 0);
		count = vfio_pci_irq_take(device, index, 0, IRQ_MS);
		vfio_pci_irq_disable(device, index);
		return count == 1;
	}

	return true;
}

/* Return: 0 if the kernel preserves the device and its address space, or -errno. */
static int preserve_device(int session, struct vfio_pci_device *device)
{
	struct iommu *iommu = device->iommu;
	int space = iommu->iommufd >= 0 ? iommu->iommufd : iommu->container_fd;
	int ret = preserve(session, device->fd, TOKEN_DEVICE);

	return preserve(session, space, TOKEN_IOMMUFD) ?: ret;
}

TEST_F(device, a_vfio_device_is_refused_and_works_on)
{
	int memfd = cargo_memfd(SZ_4K);
	int ret = preserve_device(self->session, self->device);

	if (!ret)
		SKIP(return, "this kernel preserves VFIO devices: the cases of two lives prove it");
	EXPECT_EQ(-ENOENT, ret);
	EXPECT_EQ(-ENOENT, preserve(self->session, self->device->fd, TOKEN_DEVICE));
	EXPECT_TRUE(interrupts_work(self->device));
	EXPECT_NE(0xffff, vfio_pci_config_readw(self->device, PCI_VENDOR_ID));

	/* Neither token was used up. */
	EXPECT_EQ(0, preserve(self->session, memfd, TOKEN_DEVICE));
	close(memfd);

	/* A file that was kept open would keep the device from being opened again. */
	vfio_pci_device_cleanup(self->device);
	iommu_cleanup(self->iommu);
	self->iommu = iommu_init(variant->iommu_mode);
	self->device = vfio_pci_device_init(test_options.bdf, self->iommu);
	EXPECT_TRUE(interrupts_work(self->device));
}

/* Two lives **********************************************************************************/

/**
 * struct cargo - What travels, at the start of the memfd.
 * @seed: of the bytes behind it
 * @device: the device was preserved, too
 * @by_dma: the device wrote the bytes
 */
struct cargo {
	u64 seed;
	u32 device;
	u32 by_dma;
	u8 bytes[];
};

#define BYTES_OFFSET SZ_4K
#define NR_BYTES SZ_64K

static void pattern(u8 *bytes, u64 seed)
{
	for (u32 i = 0; i < NR_BYTES; i++) {
		/* Knuth's MMIX generator; its high bits are the random ones. */
		seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
		bytes[i] = seed >> 56;
	}
}

FIXTURE(kexec) {
	struct iommu *iommu;
	struct vfio_pci_device *device;
	struct iova_allocator *allocator;
	int liveupdate;
};

FIXTURE_SETUP(kexec)
{
	SKIP_IF_MISSING(live_update_missing());
	if (!life())
		SKIP(return, "it takes a kexec, for which live_update_lab_test has a lab of its own");
	self->iommu = iommu_init(test_iommu_mode());
	self->device = vfio_pci_device_init(test_options.bdf, self->iommu);
	self->allocator = iova_allocator_init(self->iommu, self->device->driver.dma_mask ?:
					      UINT64_MAX);
	self->liveupdate = open_live_update();
	ASSERT_LE(0, self->liveupdate);
}

FIXTURE_TEARDOWN(kexec)
{
	close(self->liveupdate);
	iova_allocator_cleanup(self->allocator);
	vfio_pci_device_cleanup(self->device);
	iommu_cleanup(self->iommu);
}

/*
 * Copies NR_BYTES by the device, if it can.
 * Return: whether it did.
 */
static bool copy_by_dma(struct vfio_pci_device *device, struct iova_allocator *allocator,
			void *dst, const void *src)
{
	bool able;

	if (!device->driver.ops)
		return false;
	vfio_pci_driver_start(device, allocator);
	able = !device->driver.no_memcpy && device->driver.ops->memcpy_start;
	if (able)
		VFIO_ASSERT_EQ(vfio_pci_driver_memcpy(device, to_iova(device, src),
						      to_iova(device, dst), NR_BYTES), 0);
	vfio_pci_driver_stop(device);
	return able;
}

static void map_cargo(struct iommu *iommu, struct iova_allocator *allocator,
		      struct dma_region *region, int memfd)
{
	*region = (struct dma_region){ .size = CARGO_SIZE };
	region->vaddr = mmap(NULL, CARGO_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, memfd, 0);
	VFIO_ASSERT_TRUE(region->vaddr != MAP_FAILED);
	region->iova = iova_allocator_alloc(allocator, CARGO_SIZE);
	iommu_map(iommu, region);
}

/* Leaves for the next life; returns only if that fails. */
static int leave(void)
{
	const char *kernel = getenv("KVM_VFIO_TESTS_KERNEL"), *initrd;
	char command_line[2048] = "";
	int kernel_fd, initrd_fd, fd;

	initrd = getenv("KVM_VFIO_TESTS_INITRD");
	kernel_fd = open(kernel ?: "kernel", O_RDONLY | O_CLOEXEC);
	initrd_fd = open(initrd ?: "initrd", O_RDONLY | O_CLOEXEC);
	fd = open("/proc/cmdline", O_RDONLY | O_CLOEXEC);
	if (kernel_fd < 0 || initrd_fd < 0 || fd < 0 ||
	    read(fd, command_line, sizeof(command_line) - 16) <= 0)
		return -errno;

	command_line[strcspn(command_line, "\n")] = '\0';
	strcat(command_line, " lab.life=2");
	if (syscall(SYS_kexec_file_load, kernel_fd, initrd_fd, strlen(command_line) + 1,
		    command_line, 0UL))
		return -errno;
	return reboot(LINUX_REBOOT_CMD_KEXEC) ? -errno : 0;
}

TEST_F(kexec, dma_memory_is_preserved_for_the_next_life)
{
	struct dma_region region, source;
	int memfd = cargo_memfd(CARGO_SIZE), session, ret;
	struct cargo *cargo;

	if (life() != 1)
		SKIP(return, "this is the second life");

	map_cargo(self->iommu, self->allocator, &region, memfd);
	dma_region_setup(self->iommu, self->allocator, &source, NR_BYTES);
	cargo = region.vaddr;
	cargo->seed = test_options.seed;
	pattern(source.vaddr, cargo->seed);
	cargo->by_dma = copy_by_dma(self->device, self->allocator, region.vaddr + BYTES_OFFSET,
				    source.vaddr);
	if (!cargo->by_dma)
		memcpy(region.vaddr + BYTES_OFFSET, source.vaddr, NR_BYTES);
	ASSERT_EQ(0, memcmp(region.vaddr + BYTES_OFFSET, source.vaddr, NR_BYTES));

	ASSERT_EQ(0, create_session(self->liveupdate, SESSION_NAME, &session));
	ASSERT_EQ(0, preserve(session, memfd, TOKEN_CARGO));
	cargo->device = !preserve_device(session, self->device);
	test_report("preserved %u bytes written by %s; the device %s", NR_BYTES,
		    cargo->by_dma ? "DMA" : "the CPU", cargo->device ? "too" : "stays behind");
	/* What was said above has some pipes to go through, and they end here. */
	deadline_settle_ms(1000);
	ret = leave();
	if (ret == -ENOEXEC)
		SKIP(return, "the next life's kernel cannot be loaded: it lacks CONFIG_RELOCATABLE");
	ASSERT_EQ(0, ret);
}

/* Until a kernel preserves one, nothing has survived that could be looked at. */
static bool device_survived(int session)
{
	int iommufd, device;

	return !retrieve(session, TOKEN_IOMMUFD, &iommufd) &&
	       !retrieve(session, TOKEN_DEVICE, &device);
}

TEST_F(kexec, preserved_dma_memory_is_there_in_the_next_life)
{
	u8 *expected = malloc(NR_BYTES);
	struct dma_region region, copy;
	int session, memfd, again;
	struct cargo *cargo;

	if (life() != 2)
		SKIP(return, "this is the first life");

	ASSERT_EQ(0, retrieve_session(self->liveupdate, SESSION_NAME, &session));
	EXPECT_EQ(-ENOENT, retrieve(session, TOKEN_CARGO + 100, &memfd));
	ASSERT_EQ(0, retrieve(session, TOKEN_CARGO, &memfd));
	EXPECT_EQ(CARGO_SIZE, lseek(memfd, 0, SEEK_END));

	map_cargo(self->iommu, self->allocator, &region, memfd);
	cargo = region.vaddr;
	pattern(expected, cargo->seed);
	EXPECT_EQ(0, memcmp(region.vaddr + BYTES_OFFSET, expected, NR_BYTES));
	EXPECT_TRUE(!cargo->device || device_survived(session));

	/* The memory serves for DMA as any other does. */
	dma_region_setup(self->iommu, self->allocator, &copy, NR_BYTES);
	if (copy_by_dma(self->device, self->allocator, copy.vaddr, region.vaddr + BYTES_OFFSET)) {
		EXPECT_EQ(0, memcmp(copy.vaddr, expected, NR_BYTES));
	}

	EXPECT_EQ(0, finish(session));
	close(session);
	EXPECT_EQ(-ENOENT, retrieve_session(self->liveupdate, SESSION_NAME, &again));
	EXPECT_EQ(0, memcmp(region.vaddr + BYTES_OFFSET, expected, NR_BYTES));
	free(expected);
}

TEST_PROGRAM(NEEDS_DEVICE, "live update: VFIO, IOMMUFD and KVM are refused, DMA memory is kept")
