// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * The ptnet PCI function: probe and removal, interrupts, suspend and resume.
 */
#include <linux/dma-mapping.h>
#include <linux/interrupt.h>
#include <linux/slab.h>

#include "ptnet.h"

/* ---- interrupts ---- */

static irqreturn_t ptnet_ring_interrupt(int irq, void *data)
{
	struct ptnet_ring *ring = data;

	WRITE_ONCE(ring->interrupts, ring->interrupts + 1);
	/* Pairs with the store that lets a party in: what it set up is visible. */
	switch (smp_load_acquire(&ring->mode)) {
	case PTNET_RING_OFF:
		break;
	case PTNET_RING_STACK:
		ptnet_netdev_interrupt(ring);
		break;
	case PTNET_RING_NETMAP:
		ptnet_netmap_interrupt(ring);
		break;
	}
	return IRQ_HANDLED;
}

static void ptnet_port_free_irqs(struct ptnet_port *port)
{
	enum ptnet_ring_dir dir;
	struct ptnet_ring *ring;
	unsigned int i;

	for_each_ring (port, dir, i, ring) {
		if (!ring->irq)
			continue;
		irq_set_affinity_and_hint(ring->irq, NULL);
		free_irq(ring->irq, ring);
		ring->irq = 0;
	}
	pci_free_irq_vectors(port->pdev);
}

/* One MSI-X vector per ring, TX rings first; there is no other kind of interrupt. */
static int ptnet_port_request_irqs(struct ptnet_port *port)
{
	unsigned int vectors = port->num_rings[PTNET_TX] + port->num_rings[PTNET_RX];
	int node = dev_to_node(&port->pdev->dev);
	enum ptnet_ring_dir dir;
	struct ptnet_ring *ring;
	unsigned int i;
	int err;

	err = pci_alloc_irq_vectors(port->pdev, vectors, vectors, PCI_IRQ_MSIX);
	if (err < 0) {
		dev_err(&port->pdev->dev, "no %u MSI-X vectors: error %d\n", vectors, err);
		return err;
	}
	for_each_ring (port, dir, i, ring) {
		int irq = pci_irq_vector(port->pdev, ring->vector);

		snprintf(ring->irq_name, sizeof(ring->irq_name), "ptnet-%s-%s%u",
			 pci_name(port->pdev), ptnet_dir_name(dir), i);
		err = irq < 0 ? irq
			      : request_irq(irq, ptnet_ring_interrupt, 0, ring->irq_name, ring);
		if (err) {
			dev_err(&port->pdev->dev, "no interrupt for %s ring %u: error %d\n",
				ptnet_dir_name(dir), i, err);
			ptnet_port_free_irqs(port);
			return err;
		}
		ring->irq = irq;
		/* Both rings of a pair on one CPU, the pairs on different ones. */
		irq_set_affinity_and_hint(irq, cpumask_of(cpumask_local_spread(i, node)));
	}
	return 0;
}

/* ---- the PCI function ---- */

static int ptnet_port_alloc_rings(struct ptnet_port *port)
{
	enum ptnet_ring_dir dir;
	unsigned int i, vector = 0;

	for (dir = PTNET_TX; dir < PTNET_DIRS; dir++) {
		port->rings[dir] =
			kcalloc(port->num_rings[dir], sizeof(struct ptnet_ring), GFP_KERNEL);
		if (!port->rings[dir])
			return -ENOMEM;
		for (i = 0; i < port->num_rings[dir]; i++)
			ptnet_ring_init(&port->rings[dir][i], port, dir, i, vector++);
	}
	port->num_queues = min(port->num_rings[PTNET_TX], port->num_rings[PTNET_RX]);
	return 0;
}

static void ptnet_port_read_mac(struct ptnet_port *port, u8 *mac)
{
	u32 hi = ptnet_port_read(port, PTNET_IO_MAC_HI);
	u32 lo = ptnet_port_read(port, PTNET_IO_MAC_LO);

	mac[0] = hi >> 8;
	mac[1] = hi;
	mac[2] = lo >> 24;
	mac[3] = lo >> 16;
	mac[4] = lo >> 8;
	mac[5] = lo;
}

static struct ptnet_port *ptnet_port_alloc(struct pci_dev *pdev)
{
	struct ptnet_port *port = kzalloc(sizeof(*port), GFP_KERNEL);

	if (!port)
		return NULL;
	kref_init(&port->kref);
	mutex_init(&port->lock);
	INIT_LIST_HEAD(&port->memdev_link);
	init_waitqueue_head(&port->wait[PTNET_TX]);
	init_waitqueue_head(&port->wait[PTNET_RX]);
	INIT_DELAYED_WORK(&port->link_work, ptnet_netdev_link_work);
	port->pdev = pdev;
	return port;
}

/* Enables the function and maps its registers. */
static int ptnet_port_open_pci(struct ptnet_port *port)
{
	struct pci_dev *pdev = port->pdev;
	int err;

	err = pci_enable_device(pdev);
	if (err)
		return err;
	err = dma_set_mask_and_coherent(&pdev->dev, DMA_BIT_MASK(64));
	if (err)
		goto disable;
	err = pci_request_regions(pdev, PTNET_DRIVER_NAME);
	if (err)
		goto disable;
	port->io = pci_iomap(pdev, PTNET_BAR_IO, 0);
	if (!port->io) {
		err = -ENOMEM;
		goto release;
	}
	/* Only a host with our extension has it, and says so in a flag, too. */
	if ((pci_resource_flags(pdev, PTNET_BAR_DOORBELL) & IORESOURCE_MEM) &&
	    pci_resource_len(pdev, PTNET_BAR_DOORBELL) >= 4 * PTNET_MAX_RINGS)
		port->doorbell = pci_iomap(pdev, PTNET_BAR_DOORBELL, 0);
	pci_set_master(pdev);
	return 0;

release:
	pci_release_regions(pdev);
disable:
	pci_disable_device(pdev);
	return err;
}

static void ptnet_port_close_pci(struct ptnet_port *port)
{
	if (port->doorbell)
		pci_iounmap(port->pdev, port->doorbell);
	pci_iounmap(port->pdev, port->io);
	pci_release_regions(port->pdev);
	pci_disable_device(port->pdev);
}

int ptnet_port_probe(struct pci_dev *pdev)
{
	struct ptnet_port *port;
	u8 mac[ETH_ALEN];
	int err;

	port = ptnet_port_alloc(pdev);
	if (!port)
		return -ENOMEM;
	err = ptnet_port_open_pci(port);
	if (err)
		goto put;
	err = ptnet_port_negotiate(port);
	if (err)
		goto free_csb;
	err = ptnet_port_read_geometry(port);
	if (err)
		goto free_csb;
	err = ptnet_port_alloc_rings(port);
	if (err)
		goto free_csb;
	err = ptnet_port_negotiate_header(port);
	if (err)
		goto free_csb;
	err = ptnet_port_request_irqs(port);
	if (err)
		goto free_csb;
	ptnet_port_read_mac(port, mac);
	port->netdev = ptnet_netdev_create(port, mac);
	if (IS_ERR(port->netdev)) {
		err = PTR_ERR(port->netdev);
		goto free_irqs;
	}
	pci_set_drvdata(pdev, port);
	/* From here on the interface may be brought up, or bound by a program. */
	err = register_netdev(port->netdev);
	if (err)
		goto free_netdev;
	netdev_info(port->netdev, "memory id %u, %u TX and %u RX rings, CSB in %s\n", port->mem_id,
		    port->num_rings[PTNET_TX], port->num_rings[PTNET_RX],
		    port->features & PTNET_F_REGION_CSB ? "the region" : "guest memory");
	return 0;

free_netdev:
	free_netdev(port->netdev);
free_irqs:
	ptnet_port_free_irqs(port);
free_csb:
	ptnet_port_withdraw_csb_pages(port);
	ptnet_port_free_csb_pages(port);
	ptnet_port_close_pci(port);
put:
	ptnet_port_put(port);
	return err;
}

/*
 * Who may still hold the port afterwards: descriptors, with a dead binding, which
 * touch nothing but the epoch and the wait queues. Who must be gone before the
 * registers are unmapped: the stack (unregister_netdev), the interrupt handlers
 * (free_irq) and a program in the middle of a sync, which may be about to kick
 * (synchronize_rcu).
 */
void ptnet_port_remove(struct pci_dev *pdev)
{
	struct ptnet_port *port = pci_get_drvdata(pdev);

	mutex_lock(&port->lock);
	port->gone = true;
	ptnet_port_lose(port);
	ptnet_port_withdraw_csb_pages(port);
	mutex_unlock(&port->lock);

	unregister_netdev(port->netdev);
	cancel_delayed_work_sync(&port->link_work);
	synchronize_rcu();
	ptnet_port_free_irqs(port);
	ptnet_port_free_csb_pages(port);
	ptnet_port_close_pci(port);
	free_netdev(port->netdev);
	port->netdev = NULL;
	ptnet_port_put(port);
}

/* The device falls silent; the record of its users stays. */
void ptnet_port_suspend(struct pci_dev *pdev)
{
	struct ptnet_port *port = pci_get_drvdata(pdev);

	rtnl_lock();
	netif_device_detach(port->netdev);
	mutex_lock(&port->lock);
	port->suspended = true;
	ptnet_port_update(port);
	ptnet_port_withdraw_csb_pages(port);
	mutex_unlock(&port->lock);
	rtnl_unlock();
	cancel_delayed_work_sync(&port->link_work);
}

/* The device may have been reset, or be another one of the same shape. */
int ptnet_port_resume(struct pci_dev *pdev)
{
	struct ptnet_port *port = pci_get_drvdata(pdev);
	int err;

	rtnl_lock();
	mutex_lock(&port->lock);
	port->suspended = false;
	err = ptnet_port_negotiate(port);
	if (!err)
		err = ptnet_port_update(port);
	if (err) {
		netdev_err(port->netdev, "cannot be started again: error %d\n", err);
		netif_carrier_off(port->netdev);
		ptnet_port_lose(port);
	}
	netif_device_attach(port->netdev);
	ptnet_netdev_check_link(port);
	mutex_unlock(&port->lock);
	rtnl_unlock();
	return err;
}

void ptnet_port_shutdown(struct pci_dev *pdev)
{
	ptnet_port_suspend(pdev);
}
