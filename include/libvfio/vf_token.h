/* SPDX-License-Identifier: GPL-2.0-only */
/* The secret by which the user of a physical function admits users of its virtual functions. */
#ifndef LIBVFIO_VF_TOKEN_H
#define LIBVFIO_VF_TOKEN_H

#include <stdbool.h>

#include <linux/types.h>

/**
 * struct vf_token - A UUID, in the byte order of its text.
 */
struct vf_token {
	u8 bytes[16];
};

/**
 * vf_token_get_device() - VFIO_GROUP_GET_DEVICE_FD with a token.
 * @group_fd: the group of the device
 * @bdf: segment:bus:device.function
 * @token: NULL for none
 *
 * Return: the device's descriptor or -errno: -EACCES for a token that is missing or wrong, -EINVAL
 * for one that the device has no use for.
 */
int vf_token_get_device(int group_fd, const char *bdf, const struct vf_token *token);

/**
 * vf_token_bind() - VFIO_DEVICE_BIND_IOMMUFD with a token.
 * @device_fd: the character device, unbound
 * @iommufd: what to bind it to
 * @token: NULL for none
 *
 * Return: 0 or -errno, as vf_token_get_device(). Before Linux 6.17 a token is always refused by
 * -EINVAL, and none is needed.
 */
int vf_token_bind(int device_fd, int iommufd, const struct vf_token *token);

/**
 * vf_token_set() - VFIO_DEVICE_FEATURE_PCI_VF_TOKEN: the token asked for from now on.
 * @device_fd: a physical function that is open
 * @token: the new one
 *
 * Return: 0 or -errno, -ENOTTY if the device has no virtual functions.
 */
int vf_token_set(int device_fd, const struct vf_token *token);

#endif /* LIBVFIO_VF_TOKEN_H */
