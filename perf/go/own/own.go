// SPDX-License-Identifier: MIT

// Package own starts a server for a measurement: this same program in a child process, on the first half of the allowed
// CPUs; the rest is left to the caller, so that both sides' work can be told apart.
package own

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unsafe"
)

const (
	cpuWords  = 16 // 1,024 CPUs.
	startTime = 20 * time.Second
	stopTime  = 5 * time.Second
)

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
	cpus := allowedCPUs()
	theirs, ours := cpus[:len(cpus)/2], cpus[len(cpus)/2:]
	if len(theirs) > 0 {
		bind(0, setOf(theirs))
	}
	err = command.Start()
	if len(theirs) > 0 {
		bindAll(setOf(ours))
		runtime.GOMAXPROCS(len(ours))
	}
	if err != nil {
		return nil, err
	}
	server := &Server{Pid: command.Process.Pid, command: command}
	if server.Address, err = addressWithin(startTime, output); err != nil {
		server.Stop()
		return nil, fmt.Errorf("the server did not start: %w", err)
	}
	return server, nil
}

func addressWithin(limit time.Duration, from io.Reader) (string, error) {
	line, err := lineWithin(limit, from)
	if err != nil {
		return "", err
	}
	words := strings.Fields(line)
	if len(words) < 3 || words[0] != "listening" {
		return "", fmt.Errorf("it says %q", line)
	}
	return words[2], nil
}

// The goroutine that reads ends with the process that is read from.
func lineWithin(limit time.Duration, from io.Reader) (string, error) {
	type read struct {
		line string
		err  error
	}
	done := make(chan read, 1)
	go func() {
		line, err := bufio.NewReader(from).ReadString('\n')
		done <- read{line, err}
	}()
	select {
	case one := <-done:
		return one.line, one.err
	case <-time.After(limit):
		return "", fmt.Errorf("no line after %v", limit)
	}
}

// Stop ends it and waits for that: first it is asked to, then it is made to.
func (s *Server) Stop() {
	_ = s.command.Process.Signal(syscall.SIGTERM)
	patience := time.AfterFunc(stopTime, func() { _ = s.command.Process.Kill() })
	defer patience.Stop()
	_ = s.command.Wait()
}

// In rising order; none if they cannot be told.
func allowedCPUs() (cpus []int) {
	var all cpuSet
	if _, _, code := syscall.Syscall(syscall.SYS_SCHED_GETAFFINITY, 0, unsafe.Sizeof(all), uintptr(unsafe.Pointer(&all))); code != 0 {
		return nil
	}
	for i := range cpuWords * 64 {
		if all[i/64]>>(i%64)&1 == 1 {
			cpus = append(cpus, i)
		}
	}
	return
}

func setOf(cpus []int) *cpuSet {
	var set cpuSet
	for _, cpu := range cpus {
		set[cpu/64] |= 1 << (cpu % 64)
	}
	return &set
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
