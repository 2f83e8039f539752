// SPDX-License-Identifier: MIT

// Package own starts a server for a measurement: this same program in a child process, on the first half of the allowed
// CPUs; the rest is left to the caller, so that both sides' work can be told apart.
package own

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"unsafe"
)

const cpuWords = 16 // 1,024 CPUs.

type cpuSet [cpuWords]uint64

// Server is a child process.
type Server struct {
	Address string
	Pid     int
	command *exec.Cmd
}

// Start runs this program with these arguments and waits until it listens. The caller is bound to the other CPUs.
func Start(arguments ...string) (*Server, error) {
	command := exec.Command("/proc/self/exe", arguments...)
	command.Stderr = os.Stderr
	command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	output, err := command.StdoutPipe()
	if err != nil {
		return nil, err
	}
	// A child is born with the CPUs of the thread that makes it, and asked to die with that thread: it is the main
	// goroutine's, kept.
	runtime.LockOSThread()
	theirs, ours, apart := split()
	if apart {
		bind(0, &theirs)
	}
	err = command.Start()
	if apart {
		bindAll(&ours)
	}
	if err != nil {
		return nil, err
	}
	server := &Server{Pid: command.Process.Pid, command: command}
	line, _ := bufio.NewReader(output).ReadString('\n')
	words := strings.Fields(line)
	if len(words) < 3 || words[0] != "listening" {
		server.Stop()
		return nil, fmt.Errorf("the server did not start: %q", line)
	}
	server.Address = words[2]
	return server, nil
}

// Stop ends it and waits for that.
func (s *Server) Stop() {
	_ = s.command.Process.Signal(syscall.SIGTERM)
	_ = s.command.Wait()
}

func split() (first, second cpuSet, apart bool) {
	var all cpuSet
	if _, _, code := syscall.Syscall(syscall.SYS_SCHED_GETAFFINITY, 0, unsafe.Sizeof(all), uintptr(unsafe.Pointer(&all))); code != 0 {
		return
	}
	var cpus []int
	for i := range cpuWords * 64 {
		if all[i/64]>>(i%64)&1 == 1 {
			cpus = append(cpus, i)
		}
	}
	for i, cpu := range cpus {
		if i < len(cpus)/2 {
			first[cpu/64] |= 1 << (cpu % 64)
		} else {
			second[cpu/64] |= 1 << (cpu % 64)
		}
	}
	runtime.GOMAXPROCS(max(len(cpus)-len(cpus)/2, 1))
	return first, second, len(cpus) >= 2
}

func bind(thread int, cpus *cpuSet) {
	_, _, _ = syscall.Syscall(syscall.SYS_SCHED_SETAFFINITY, uintptr(thread), unsafe.Sizeof(*cpus), uintptr(unsafe.Pointer(cpus)))
}

// Every thread there is; later ones are born of these.
func bindAll(cpus *cpuSet) {
	threads, _ := filepath.Glob("/proc/self/task/*")
	for _, path := range threads {
		if thread, err := strconv.Atoi(filepath.Base(path)); err == nil {
			bind(thread, cpus)
		}
	}
}
