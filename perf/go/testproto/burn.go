// SPDX-License-Identifier: MIT

package testproto

import (
	"runtime"
	"syscall"
	"time"
	"unsafe"
)

const clockThreadCPU = 3 // CLOCK_THREAD_CPUTIME_ID

// CPU time, not time: another thread on the same core makes it last longer, not work less.
func burn(budget time.Duration) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	for start := threadCPU(); threadCPU()-start < budget; {
	}
}

func threadCPU() time.Duration {
	var now syscall.Timespec
	_, _, _ = syscall.Syscall(syscall.SYS_CLOCK_GETTIME, clockThreadCPU, uintptr(unsafe.Pointer(&now)), 0)
	return time.Duration(now.Nano())
}
