// SPDX-License-Identifier: MIT

package load

import (
	"os"
	"syscall"
	"time"
	"unsafe"
)

// A timer wakes a goroutine on time. The runtime's own may be a millisecond late, because its poller counts in those; the
// kernel's is a descriptor, of which the poller is told as of any other. A thread that sleeps in the kernel would be as
// exact, but what it starts then waits until the runtime has seen that it sleeps.
type timer struct {
	file   *os.File
	number uintptr // Of the file; to ask that for it would make it blocking.
}

func newTimer() (timer, error) {
	const monotonic = 1 // CLOCK_MONOTONIC
	number, _, code := syscall.Syscall(syscall.SYS_TIMERFD_CREATE, monotonic, syscall.O_NONBLOCK|syscall.O_CLOEXEC, 0)
	if code != 0 {
		return timer{}, os.NewSyscallError("timerfd_create", code)
	}
	return timer{os.NewFile(number, "timer"), number}, nil
}

func (t timer) sleep(span time.Duration) error {
	if span <= 0 {
		return nil // Nothing would disarm it.
	}
	setting := struct{ interval, value syscall.Timespec }{value: syscall.NsecToTimespec(int64(span))}
	_, _, code := syscall.RawSyscall6(syscall.SYS_TIMERFD_SETTIME, t.number, 0, uintptr(unsafe.Pointer(&setting)), 0, 0, 0)
	if code != 0 {
		return os.NewSyscallError("timerfd_settime", code)
	}
	var expirations [8]byte
	_, err := t.file.Read(expirations[:])
	return err
}

func (t timer) close() { _ = t.file.Close() }
