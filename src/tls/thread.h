/* SPDX-License-Identifier: MIT */
/*
 * Public-key work on a thread: some builds of wolfSSL keep tables of points for each thread that does
 * any, 1 to 3 MB, and leave it to the program to free them before the thread ends.
 */
#ifndef CMDI_TLS_THREAD_H
#define CMDI_TLS_THREAD_H

/** This thread does such work: what is kept for it goes when it ends. As often as one likes. */
void cmdi_tls_thread_works(void);

#endif
