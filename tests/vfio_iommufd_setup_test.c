// SPDX-License-Identifier: GPL-2.0-only
/*
 * A VFIO device file and an iommufd come together in the legal orders only.
 *
 * Proves the state machine of linux/vfio.h and linux/iommufd.h, from the open of the character
 * device to its close: an unbound device answers nothing, one bound is not bound again, it is
 * attached to an IOAS or a HWPT that exists, and what it is attached to cannot be destroyed.
 * Each illegal order gets its errno and changes nothing. A walk over several hundred random
 * operations compares the kernel with a model after each of them.
 *
 * Bug class: reference counts of iommufd objects (an address space freed under a device, or
 * never), and a device reachable before an IOMMU keeps it in check.
 *
 * Needs a device bound to vfio-pci, CONFIG_IOMMUFD and CONFIG_VFIO_DEVICE_CDEV. Only one IOMMU
 * mode, iommufd, has these states.
 */
#include <fcntl.h>
#include <limits.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <linux/iommufd.h>
#include <linux/kernel.h>

#include <libvfio/sysfs.h>
#include <libvfio/vfio_pci_device.h>
#include <tests/harness.h>

/* No object has it: ids are given away from 1 on. */
#define NO_SUCH_ID 0x7ffffff0

#define WALK_STEPS 600

/* 0 or -errno. */
static int call(int fd, unsigned long request, void *argument)
{
	return ioctl(fd, request, argument) < 0 ? -errno : 0;
}

static const char *iommufd_missing(const char *bdf)
{
	const char *missing = test_iommu_mode_missing(MODE_IOMMUFD);
	char path[PATH_MAX];

	if (!missing && sysfs_vfio_cdev(bdf, path, sizeof(path)))
		missing = "no /dev/vfio/devices: the kernel lacks CONFIG_VFIO_DEVICE_CDEV";
	return missing;
}

static int open_device(void)
{
	char path[PATH_MAX];

	VFIO_ASSERT_EQ(sysfs_vfio_cdev(test_options.bdf, path, sizeof(path)), 0);
	return open(path, O_RDWR | O_CLOEXEC);
}

static int open_group(void)
{
	char path[32];
	int fd;

	snprintf(path, sizeof(path), "/dev/vfio/%d", sysfs_iommu_group(test_options.bdf));
	fd = open(path, O_RDWR | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

static int open_iommufd(void)
{
	int fd = open("/dev/iommu", O_RDWR | O_CLOEXEC);

	VFIO_ASSERT_GE(fd, 0);
	return fd;
}

static int bind_to(int device, int iommufd, u32 *device_id)
{
	struct vfio_device_bind_iommufd bind = { .argsz = sizeof(bind), .iommufd = iommufd };
	int ret = call(device, VFIO_DEVICE_BIND_IOMMUFD, &bind);

	if (device_id)
		*device_id = bind.out_devid;
	return ret;
}

/* @hwpt receives the HWPT that the device is attached to, may be NULL. */
static int attach(int device, u32 id, u32 *hwpt)
{
	struct vfio_device_attach_iommufd_pt pt = { .argsz = sizeof(pt), .pt_id = id };
	int ret = call(device, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &pt);

	if (!ret && hwpt)
		*hwpt = pt.pt_id;
	return ret;
}

static int detach(int device)
{
	struct vfio_device_detach_iommufd_pt pt = { .argsz = sizeof(pt) };

	return call(device, VFIO_DEVICE_DETACH_IOMMUFD_PT, &pt);
}

static int get_info(int device)
{
	struct vfio_device_info info = { .argsz = sizeof(info) };

	return call(device, VFIO_DEVICE_GET_INFO, &info);
}

static int ioas_alloc(int iommufd, u32 *id)
{
	struct iommu_ioas_alloc alloc = { .size = sizeof(alloc) };
	int ret = call(iommufd, IOMMU_IOAS_ALLOC, &alloc);

	*id = alloc.out_ioas_id;
	return ret;
}

static int hwpt_alloc(int iommufd, u32 device_id, u32 pt_id, u32 *id)
{
	struct iommu_hwpt_alloc alloc = {
		.size = sizeof(alloc),
		.dev_id = device_id,
		.pt_id = pt_id,
	};
	int ret = call(iommufd, IOMMU_HWPT_ALLOC, &alloc);

	*id = alloc.out_hwpt_id;
	return ret;
}

static int destroy(int iommufd, u32 id)
{
	struct iommu_destroy command = { .size = sizeof(command), .id = id };

	return call(iommufd, IOMMU_DESTROY, &command);
}

/* Unbound *************************************************************************************/

FIXTURE(unbound) {
	int device;
	int iommufd;
};

FIXTURE_SETUP(unbound)
{
	SKIP_IF_MISSING(iommufd_missing(test_options.bdf));
	self->device = open_device();
	ASSERT_LE(0, self->device);
	self->iommufd = open_iommufd();
}

FIXTURE_TEARDOWN(unbound)
{
	close(self->device);
	close(self->iommufd);
}

TEST_F(unbound, a_device_that_is_not_bound_answers_nothing)
{
	struct vfio_region_info region = { .argsz = sizeof(region) };
	struct vfio_irq_info irq = { .argsz = sizeof(irq) };
	struct vfio_irq_set set = { .argsz = sizeof(set),
		.flags = VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_TRIGGER };
	struct vfio_device_feature feature = { .argsz = sizeof(feature) };
	char byte;

	EXPECT_EQ(-EINVAL, get_info(self->device));
	EXPECT_EQ(-EINVAL, call(self->device, VFIO_DEVICE_GET_REGION_INFO, &region));
	EXPECT_EQ(-EINVAL, call(self->device, VFIO_DEVICE_GET_IRQ_INFO, &irq));
	EXPECT_EQ(-EINVAL, call(self->device, VFIO_DEVICE_SET_IRQS, &set));
	EXPECT_EQ(-EINVAL, call(self->device, VFIO_DEVICE_FEATURE, &feature));
	EXPECT_EQ(-EINVAL, call(self->device, VFIO_DEVICE_RESET, NULL));
	EXPECT_EQ(-EINVAL, attach(self->device, 1, NULL));
	EXPECT_EQ(-EINVAL, detach(self->device));

	EXPECT_EQ(-1, pread(self->device, &byte, 1, 0));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-1, pwrite(self->device, &byte, 1, 0));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(MAP_FAILED, mmap(NULL, 4096, PROT_READ, MAP_SHARED, self->device, 0));
	EXPECT_EQ(EINVAL, errno);
}

TEST_F(unbound, a_bind_with_bad_arguments_is_refused)
{
	struct vfio_device_bind_iommufd bind = { .argsz = sizeof(bind), .iommufd = self->iommufd };
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	EXPECT_EQ(-EFAULT, call(self->device, VFIO_DEVICE_BIND_IOMMUFD, NULL));
	bind.argsz = offsetof(struct vfio_device_bind_iommufd, out_devid);
	EXPECT_EQ(-EINVAL, call(self->device, VFIO_DEVICE_BIND_IOMMUFD, &bind));
	bind.argsz = sizeof(bind);
	bind.flags = 1U << 31;
	EXPECT_EQ(-EINVAL, call(self->device, VFIO_DEVICE_BIND_IOMMUFD, &bind));

	EXPECT_EQ(-EINVAL, bind_to(self->device, -1, NULL));
	EXPECT_EQ(-EBADF, bind_to(self->device, INT_MAX, NULL));
	EXPECT_EQ(-EBADFD, bind_to(self->device, null, NULL));
	EXPECT_EQ(-EBADFD, bind_to(self->device, self->device, NULL));

	/* It is as unbound as before, and can still be bound. */
	EXPECT_EQ(-EINVAL, get_info(self->device));
	EXPECT_EQ(0, bind_to(self->device, self->iommufd, NULL));
	EXPECT_EQ(0, get_info(self->device));
	close(null);
}

/* The two ways to a device exclude each other, or one user could undo what another set up. */
TEST_F(unbound, an_open_group_excludes_a_bind_and_a_bound_device_its_group)
{
	int group = open_group();

	if (group == -ENOENT)
		SKIP(return, "the device's group is not in /dev/vfio: no CONFIG_VFIO_GROUP");
	ASSERT_LE(0, group);
	EXPECT_EQ(-EBUSY, bind_to(self->device, self->iommufd, NULL));
	EXPECT_EQ(-EBUSY, open_group());
	close(group);

	EXPECT_EQ(0, bind_to(self->device, self->iommufd, NULL));
	EXPECT_EQ(-EBUSY, open_group());
	EXPECT_EQ(0, get_info(self->device));
}

/* A device that came by its group belongs to the group's container for good. */
TEST_F(unbound, a_device_of_a_group_cannot_be_bound_or_attached)
{
	struct vfio_pci_device *device;
	struct iommu *iommu;

	SKIP_IF_MISSING(iommu_mode_missing(iommu_mode_lookup(MODE_IOMMUFD_COMPAT_TYPE1V2)));
	iommu = iommu_init(MODE_IOMMUFD_COMPAT_TYPE1V2);
	device = vfio_pci_device_init(test_options.bdf, iommu);
	EXPECT_EQ(-EINVAL, bind_to(device->fd, self->iommufd, NULL));
	EXPECT_EQ(-ENOTTY, attach(device->fd, 1, NULL));
	EXPECT_EQ(-ENOTTY, detach(device->fd));
	EXPECT_EQ(0, get_info(device->fd));
	vfio_pci_device_cleanup(device);
	iommu_cleanup(iommu);
}

/* What needs no device: the objects of an iommufd by themselves. */
TEST_F(unbound, an_object_that_does_not_exist_is_not_found)
{
	struct iommu_ioas_iova_ranges ranges = { .size = sizeof(ranges), .ioas_id = NO_SUCH_ID };
	struct iommu_ioas_map map = { .size = sizeof(map), .ioas_id = NO_SUCH_ID,
		.flags = IOMMU_IOAS_MAP_READABLE, .length = 4096 };
	struct iommu_ioas_unmap unmap = { .size = sizeof(unmap), .ioas_id = NO_SUCH_ID,
		.length = 4096 };
	struct iommu_hw_info info = { .size = sizeof(info), .dev_id = NO_SUCH_ID };
	u32 id;

	EXPECT_EQ(-ENOENT, call(self->iommufd, IOMMU_IOAS_IOVA_RANGES, &ranges));
	EXPECT_EQ(-ENOENT, call(self->iommufd, IOMMU_IOAS_MAP, &map));
	EXPECT_EQ(-ENOENT, call(self->iommufd, IOMMU_IOAS_UNMAP, &unmap));
	EXPECT_EQ(-ENOENT, call(self->iommufd, IOMMU_GET_HW_INFO, &info));
	EXPECT_EQ(-ENOENT, destroy(self->iommufd, NO_SUCH_ID));
	EXPECT_EQ(-ENOENT, hwpt_alloc(self->iommufd, NO_SUCH_ID, NO_SUCH_ID, &id));

	ASSERT_EQ(0, ioas_alloc(self->iommufd, &id));
	info.dev_id = id;
	EXPECT_EQ(-ENOENT, call(self->iommufd, IOMMU_GET_HW_INFO, &info));
	EXPECT_EQ(0, destroy(self->iommufd, id));
	EXPECT_EQ(-ENOENT, destroy(self->iommufd, id));
	ranges.ioas_id = id;
	EXPECT_EQ(-ENOENT, call(self->iommufd, IOMMU_IOAS_IOVA_RANGES, &ranges));
}

TEST_F(unbound, an_ioas_command_with_bad_arguments_is_refused)
{
	struct iommu_ioas_alloc alloc = { .size = sizeof(alloc), .flags = 1 };
	struct iommu_ioas_map map = { .size = sizeof(map), .length = 4096 };
	char larger[sizeof(alloc) + 8] = {};

	EXPECT_EQ(-EOPNOTSUPP, call(self->iommufd, IOMMU_IOAS_ALLOC, &alloc));
	alloc = (struct iommu_ioas_alloc){ .size = sizeof(alloc) - 4 };
	EXPECT_EQ(-EINVAL, call(self->iommufd, IOMMU_IOAS_ALLOC, &alloc));

	/* A structure may grow as long as what the kernel does not know of is 0. */
	alloc.size = sizeof(larger);
	memcpy(larger, &alloc, sizeof(alloc));
	larger[sizeof(alloc)] = 1;
	EXPECT_EQ(-E2BIG, call(self->iommufd, IOMMU_IOAS_ALLOC, larger));
	larger[sizeof(alloc)] = 0;
	EXPECT_EQ(0, call(self->iommufd, IOMMU_IOAS_ALLOC, larger));

	map.ioas_id = ((struct iommu_ioas_alloc *)larger)->out_ioas_id;
	EXPECT_EQ(-EINVAL, call(self->iommufd, IOMMU_IOAS_MAP, &map));
	map.flags = 1U << 31;
	EXPECT_EQ(-EOPNOTSUPP, call(self->iommufd, IOMMU_IOAS_MAP, &map));
	EXPECT_EQ(0, destroy(self->iommufd, map.ioas_id));
}

/* Bound ***************************************************************************************/

FIXTURE(bound) {
	int device;
	int iommufd;
	u32 device_id;
	u32 ioas;
};

FIXTURE_SETUP(bound)
{
	SKIP_IF_MISSING(iommufd_missing(test_options.bdf));
	self->device = open_device();
	ASSERT_LE(0, self->device);
	self->iommufd = open_iommufd();
	ASSERT_EQ(0, bind_to(self->device, self->iommufd, &self->device_id));
	ASSERT_EQ(0, ioas_alloc(self->iommufd, &self->ioas));
}

FIXTURE_TEARDOWN(bound)
{
	close(self->device);
	close(self->iommufd);
}

TEST_F(bound, a_bound_device_is_not_bound_again)
{
	int other_iommufd = open_iommufd();
	int other_device = open_device();

	EXPECT_EQ(-EINVAL, bind_to(self->device, self->iommufd, NULL));
	EXPECT_EQ(-EINVAL, bind_to(self->device, other_iommufd, NULL));

	/* A second open file of the device stays useless while the first is bound. */
	ASSERT_LE(0, other_device);
	EXPECT_EQ(-EINVAL, bind_to(other_device, self->iommufd, NULL));
	EXPECT_EQ(-EINVAL, bind_to(other_device, other_iommufd, NULL));
	EXPECT_EQ(-EINVAL, get_info(other_device));

	EXPECT_EQ(0, get_info(self->device));
	EXPECT_EQ(0, attach(self->device, self->ioas, NULL));

	/* The close of the bound file is what unbinds the device. */
	close(self->device);
	EXPECT_EQ(0, destroy(self->iommufd, self->ioas));
	EXPECT_EQ(0, bind_to(other_device, other_iommufd, NULL));
	EXPECT_EQ(0, get_info(other_device));
	close(other_device);
	close(other_iommufd);
}

TEST_F(bound, an_attach_with_bad_arguments_is_refused)
{
	struct vfio_device_attach_iommufd_pt pt = { .argsz = sizeof(pt), .pt_id = self->ioas };

	EXPECT_EQ(-EFAULT, call(self->device, VFIO_DEVICE_ATTACH_IOMMUFD_PT, NULL));
	pt.flags = 1U << 31;
	EXPECT_EQ(-EINVAL, call(self->device, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &pt));
	EXPECT_EQ(-EINVAL, call(self->device, VFIO_DEVICE_DETACH_IOMMUFD_PT, &pt));
	pt.flags = 0;
	pt.argsz = 4;
	EXPECT_EQ(-EINVAL, call(self->device, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &pt));
	EXPECT_EQ(-EINVAL, call(self->device, VFIO_DEVICE_DETACH_IOMMUFD_PT, &pt));

	EXPECT_EQ(-ENOENT, attach(self->device, 0, NULL));
	EXPECT_EQ(-ENOENT, attach(self->device, NO_SUCH_ID, NULL));
	/* It exists, and is no address space. */
	EXPECT_EQ(-EINVAL, attach(self->device, self->device_id, NULL));

	/* Nothing was attached by all that, or the IOAS would be busy. */
	EXPECT_EQ(0, destroy(self->iommufd, self->ioas));
	EXPECT_EQ(-ENOENT, attach(self->device, self->ioas, NULL));
}

TEST_F(bound, a_hwpt_with_bad_arguments_is_refused)
{
	const struct iommu_hwpt_alloc good = {
		.size = sizeof(good), .dev_id = self->device_id, .pt_id = self->ioas,
	};
	struct iommu_hwpt_alloc alloc = good;
	u32 id;

	EXPECT_EQ(-ENOENT, hwpt_alloc(self->iommufd, NO_SUCH_ID, self->ioas, &id));
	EXPECT_EQ(-ENOENT, hwpt_alloc(self->iommufd, self->ioas, self->ioas, &id));
	EXPECT_EQ(-EINVAL, hwpt_alloc(self->iommufd, self->device_id, NO_SUCH_ID, &id));
	EXPECT_EQ(-EINVAL, hwpt_alloc(self->iommufd, self->device_id, self->device_id, &id));

	alloc.flags = 1U << 31;
	EXPECT_EQ(-EOPNOTSUPP, call(self->iommufd, IOMMU_HWPT_ALLOC, &alloc));
	alloc = good;
	alloc.__reserved = 1;
	EXPECT_EQ(-EOPNOTSUPP, call(self->iommufd, IOMMU_HWPT_ALLOC, &alloc));
	alloc = good;
	alloc.data_len = 8;
	EXPECT_EQ(-EINVAL, call(self->iommufd, IOMMU_HWPT_ALLOC, &alloc));
	alloc = good;
	alloc.size = offsetof(struct iommu_hwpt_alloc, out_hwpt_id);
	EXPECT_EQ(-EINVAL, call(self->iommufd, IOMMU_HWPT_ALLOC, &alloc));

	EXPECT_EQ(0, destroy(self->iommufd, self->ioas));
}

TEST_F(bound, what_a_device_is_attached_to_cannot_be_destroyed)
{
	u32 automatic = 0, hwpt = 0, same = 0;

	/* Attached to an IOAS, it is really attached to a HWPT that the kernel made for it. */
	ASSERT_EQ(0, attach(self->device, self->ioas, &automatic));
	EXPECT_NE(self->ioas, automatic);
	EXPECT_EQ(-EBUSY, destroy(self->iommufd, automatic));
	EXPECT_EQ(-EBUSY, destroy(self->iommufd, self->ioas));
	EXPECT_EQ(-EBUSY, destroy(self->iommufd, self->device_id));
	EXPECT_EQ(0, attach(self->device, self->ioas, &same));
	EXPECT_EQ(automatic, same);

	/* It moves without a gap, and the automatic HWPT goes when nobody uses it. */
	ASSERT_EQ(0, hwpt_alloc(self->iommufd, self->device_id, self->ioas, &hwpt));
	EXPECT_EQ(0, attach(self->device, hwpt, &same));
	EXPECT_EQ(hwpt, same);
	EXPECT_EQ(-ENOENT, destroy(self->iommufd, automatic));
	EXPECT_EQ(-EBUSY, destroy(self->iommufd, hwpt));
	EXPECT_EQ(-EBUSY, destroy(self->iommufd, self->ioas));

	EXPECT_EQ(0, detach(self->device));
	EXPECT_EQ(-EBUSY, destroy(self->iommufd, self->ioas));
	EXPECT_EQ(0, destroy(self->iommufd, hwpt));
	EXPECT_EQ(-ENOENT, attach(self->device, hwpt, NULL));
	EXPECT_EQ(0, destroy(self->iommufd, self->ioas));
	EXPECT_EQ(-EBUSY, destroy(self->iommufd, self->device_id));
	EXPECT_EQ(0, get_info(self->device));
}

/* The device keeps the iommufd alive, and everything in it. */
TEST_F(bound, a_device_outlives_the_close_of_its_iommufd)
{
	close(self->iommufd);
	EXPECT_EQ(0, get_info(self->device));
	EXPECT_EQ(0, attach(self->device, self->ioas, NULL));
	EXPECT_EQ(0, detach(self->device));
	EXPECT_EQ(-EBUSY, open_group());
	self->iommufd = -1;
}

TEST_F(bound, the_id_of_a_device_dies_with_its_file)
{
	struct iommu_hw_info info = { .size = sizeof(info), .dev_id = self->device_id };

	EXPECT_EQ(0, call(self->iommufd, IOMMU_GET_HW_INFO, &info));
	EXPECT_EQ(0, attach(self->device, self->ioas, NULL));
	close(self->device);
	self->device = -1;
	EXPECT_EQ(-ENOENT, call(self->iommufd, IOMMU_GET_HW_INFO, &info));
	EXPECT_EQ(-ENOENT, destroy(self->iommufd, self->device_id));
	EXPECT_EQ(0, destroy(self->iommufd, self->ioas));
}

/* The walk **********************************************************************************/

enum target { TARGET_IOAS_0, TARGET_IOAS_1, TARGET_HWPT, NR_TARGETS };

/**
 * struct model - What the kernel should know.
 * @id: of each target
 * @exists: whether it does
 * @hwpt_ioas: the IOAS that the HWPT maps
 * @attached: what the device is attached to, NR_TARGETS for nothing
 * @automatic: the HWPT the kernel made, if it is attached to an IOAS
 */
struct model {
	u32 id[NR_TARGETS];
	bool exists[NR_TARGETS];
	enum target hwpt_ioas;
	enum target attached;
	u32 automatic;
};

/* An id is given away again as soon as it is free; one that lives on as another object is none. */
static u32 model_id(const struct model *model, enum target target)
{
	u32 id = model->id[target];

	if (model->exists[target])
		return id;
	for (int i = 0; i < NR_TARGETS; i++) {
		if (model->exists[i] && model->id[i] == id)
			return NO_SUCH_ID;
	}
	return model->attached < TARGET_HWPT && model->automatic == id ? NO_SUCH_ID : id;
}

static bool model_busy(const struct model *model, enum target target)
{
	return model->attached == target ||
	       (target != TARGET_HWPT && model->exists[TARGET_HWPT] && model->hwpt_ioas == target);
}

/* The walk's operations. Return: whether the kernel did as the model said. */
static bool step_create(int iommufd, u32 device_id, struct model *model, enum target target,
			enum target source)
{
	int expected = 0, ret;

	if (model->exists[target])
		return true;

	if (target == TARGET_HWPT) {
		expected = model->exists[source] ? 0 : -EINVAL;
		ret = hwpt_alloc(iommufd, device_id, model_id(model, source), &model->id[target]);
		model->hwpt_ioas = source;
	} else {
		ret = ioas_alloc(iommufd, &model->id[target]);
	}
	model->exists[target] = !ret;
	return ret == expected;
}

static bool step_destroy(int iommufd, struct model *model, enum target target)
{
	int expected = !model->exists[target] ? -ENOENT : model_busy(model, target) ? -EBUSY : 0;
	int ret = destroy(iommufd, model_id(model, target));

	model->exists[target] &= ret != 0;
	return ret == expected;
}

static bool step_attach(int device, struct model *model, enum target target)
{
	int expected = model->exists[target] ? 0 : -ENOENT;
	int ret = attach(device, model_id(model, target), &model->automatic);

	if (!ret)
		model->attached = target;
	return ret == expected;
}

static bool step_detach(int device, struct model *model)
{
	model->attached = NR_TARGETS;
	return !detach(device);
}

TEST_F(bound, a_random_walk_agrees_with_the_model)
{
	static const char *const names[] = { "create", "destroy", "attach", "detach" };
	struct model model = { .id = { [0] = self->ioas }, .exists = { true },
			       .attached = NR_TARGETS };

	for (int i = 0; i < WALK_STEPS; i++) {
		u32 op = test_random(0, ARRAY_SIZE(names) - 1);
		enum target target = test_random(0, NR_TARGETS - 1);
		bool agreed = true;

		if (op == 0)
			agreed = step_create(self->iommufd, self->device_id, &model, target,
					     test_random(TARGET_IOAS_0, TARGET_IOAS_1));
		else if (op == 1)
			agreed = step_destroy(self->iommufd, &model, target);
		else if (op == 2)
			agreed = step_attach(self->device, &model, target);
		else
			agreed = step_detach(self->device, &model);

		ASSERT_TRUE(agreed) {
			TH_LOG("step %d: %s target %d, attached to %d, alive %d%d%d", i, names[op],
			       target, model.attached, model.exists[0], model.exists[1],
			       model.exists[2]);
		}
	}
}

TEST_PROGRAM(NEEDS_DEVICE, "a device and an iommufd come together in the legal orders only")
