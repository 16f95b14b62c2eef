# SPDX-License-Identifier: GPL-2.0-only
#
# The devices of the lab's QEMU, a file of configs/devices/ for its build: what lab/devices.sh
# and lab/boot.sh ask for, and what other software's tests of interrupts and VFIO want of a
# machine. Everything else stays out: half of QEMU is devices.

CONFIG_Q35=y
CONFIG_I440FX=n
CONFIG_ISAPC=n
CONFIG_MICROVM=n
CONFIG_HPET=y

CONFIG_VTD=y
CONFIG_AMD_IOMMU=y

# Buses: ports, a bridge without ACS, a switch. The second bridge uses code of the first.
CONFIG_PCIE_PORT=y
CONFIG_PCI_BRIDGE=y
CONFIG_PCIE_PCI_BRIDGE=y
CONFIG_XIO3130=y

# The lab's channels and its stand-in for an SMBus bridge.
CONFIG_VIRTIO_PCI=y
CONFIG_VIRTIO_SERIAL=y
CONFIG_VIRTIO_BLK=y
CONFIG_VIRTIO_NET=y

# Devices to lend.
CONFIG_NVME_PCI=y
CONFIG_EDU=y
CONFIG_IGB_PCI_EXPRESS=y
CONFIG_E1000E_PCI_EXPRESS=y
CONFIG_PCI_TESTDEV=y

# Ours, see docs/device-models.md.
CONFIG_IRQ_TESTDEV=y
CONFIG_IOAT=y
CONFIG_DSA=y
CONFIG_PTDMA=y

# How kvm-unit-tests end.
CONFIG_ISA_DEBUG=y
