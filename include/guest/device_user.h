/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What host and guest share of the payload device_user: each vCPU reads and writes registers as it
 * is asked to, waits for an interrupt of its own, and looks at what a device has left in memory.
 */
#ifndef GUEST_DEVICE_USER_H
#define GUEST_DEVICE_USER_H

#include <guest/irq_counter.h>

#define DEVICE_USER_MAX_VCPUS 2U
#define DEVICE_USER_MAX_ACCESSES 4

/**
 * struct device_user_access - A register access of 32 bits.
 * @address: guest virtual
 * @write: 1 to write
 * @value: what to write, or what was read last
 */
struct device_user_access {
	u64 address;
	u32 write;
	u32 value;
};

/**
 * struct device_user_job - What a vCPU is asked to do.
 * @accesses: made in this order
 * @nr_accesses: how many there are
 * @repeat: how often all of them are made
 * @vector: if not 0, one more interrupt on it is waited for afterwards, and must come to this vCPU
 * @halt: whether the vCPU halts for that
 * @data: guest virtual address of what is looked at last; 0 for nothing
 * @size: of @data, bytes
 * @seed: @data should be device_user_byte() of it
 * @wrong: how many bytes of @data are not
 */
struct device_user_job {
	struct device_user_access accesses[DEVICE_USER_MAX_ACCESSES];
	u32 nr_accesses;
	u32 repeat;
	u32 vector;
	u32 halt;
	u64 data;
	u64 size;
	u32 seed;
	u64 wrong;
};

/**
 * struct device_user - A vCPU's desk.
 * @wanted: jobs handed in, counted by the host
 * @waiting: equals @wanted once the interrupt of the job is waited for
 * @done: equals @wanted once the job is done
 * @job: the job
 */
struct device_user {
	u32 wanted;
	u32 waiting;
	u32 done;
	struct device_user_job job;
};

/* In the guest's memory; the host finds it by the address, the program being the same. */
extern struct device_user guest_device_users[DEVICE_USER_MAX_VCPUS];

/* Byte @i of memory that is filled after @seed. */
static inline u8 device_user_byte(u32 seed, u64 i)
{
	return seed + i * 7 + (i >> 8);
}

/* vCPUs that halt would not see a job: struct irq_vm_config has to let them spin. */
void guest_device_user(struct irq_counter *counter, u64 index);

#endif /* GUEST_DEVICE_USER_H */
