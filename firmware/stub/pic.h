/*
 * Hides the PC's pair of 8259 interrupt controllers, which KVM's in-kernel set has and nothing on
 * the board uses. A kernel that finds none spares itself the checks of how its timer is wired and
 * several hundred accesses to the IOAPIC, each of which leaves the guest.
 */
#pragma once

void pic_hide(void);
