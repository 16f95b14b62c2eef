// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>

#include <linux/vfio.h>

#include <libvfio/vf_token.h>

/* VFIO_DEVICE_BIND_IOMMUFD as of Linux 6.17; the tree this is built from may be older. */
struct bind_with_token {
	u32 argsz;
	u32 flags;
	s32 iommufd;
	u32 out_devid;
	u64 token_uuid_ptr;
};

#define BIND_FLAG_TOKEN (1 << 0)

int vf_token_get_device(int group_fd, const char *bdf, const struct vf_token *token)
{
	const u8 *b = token ? token->bytes : NULL;
	char name[96];
	int fd;

	snprintf(name, sizeof(name), "%s", bdf);
	if (token)
		snprintf(name, sizeof(name), "%s vf_token=%02x%02x%02x%02x-%02x%02x-%02x%02x-"
			 "%02x%02x-%02x%02x%02x%02x%02x%02x", bdf, b[0], b[1], b[2], b[3], b[4],
			 b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12], b[13], b[14], b[15]);

	fd = ioctl(group_fd, VFIO_GROUP_GET_DEVICE_FD, name);
	return fd < 0 ? -errno : fd;
}

int vf_token_bind(int device_fd, int iommufd, const struct vf_token *token)
{
	struct bind_with_token bind = {
		/* Without a token, what every kernel knows. */
		.argsz = token ? sizeof(bind) : sizeof(bind) - sizeof(bind.token_uuid_ptr),
		.flags = token ? BIND_FLAG_TOKEN : 0,
		.iommufd = iommufd,
		.token_uuid_ptr = (uintptr_t)token,
	};

	return ioctl(device_fd, VFIO_DEVICE_BIND_IOMMUFD, &bind) ? -errno : 0;
}

int vf_token_set(int device_fd, const struct vf_token *token)
{
	struct {
		struct vfio_device_feature feature;
		struct vf_token token;
	} call = {
		.feature = {
			.argsz = sizeof(call),
			.flags = VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_PCI_VF_TOKEN,
		},
		.token = *token,
	};

	return ioctl(device_fd, VFIO_DEVICE_FEATURE, &call) ? -errno : 0;
}
