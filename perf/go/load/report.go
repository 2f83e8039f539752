// SPDX-License-Identifier: MIT

package load

import (
	"encoding/json"
	"fmt"
	"os"
	"runtime"
	"syscall"
	"time"
	"unsafe"
)

func selfCPU() time.Duration {
	var usage syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &usage) != nil {
		return 0
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// User and system time of another process; negative if it cannot be read.
func processCPU(pid int) time.Duration {
	if pid <= 0 {
		return -1
	}
	const schedClock = 2 // The whole process, as the scheduler counts it: what clock_getcpuclockid makes.
	clock := uintptr(uint32(^int32(pid)<<3 | schedClock))
	var now syscall.Timespec
	if _, _, code := syscall.Syscall(syscall.SYS_CLOCK_GETTIME, clock, uintptr(unsafe.Pointer(&now)), 0); code != 0 {
		return -1
	}
	return time.Duration(now.Nano())
}

func us(ns uint64) float64 { return float64(ns) / 1e3 }

// A pointer, so that what is unknown is null.
func perCommand(from, to time.Duration, commands uint64) *float64 {
	if from < 0 || to < 0 || commands == 0 {
		return nil
	}
	value := float64(to-from) / 1e3 / float64(commands)
	return &value
}

func (r *run) report(peer Peer, from, to sample, h *histogram) {
	o := r.options
	span := to.at.Sub(from.at)
	commands, results := to.commands-from.commands, to.results-from.results
	latency := map[string]any{"p50_us": 0.5, "p90_us": 0.9, "p99_us": 0.99, "p999_us": 0.999}
	for name, q := range latency {
		latency[name] = nil
		if h.count.Load() > 0 {
			latency[name] = us(h.quantile(q.(float64)))
		}
	}
	object := map[string]any{
		"commands_per_second":       perSecond(commands, span),
		"results_per_second":        perSecond(results, span),
		"mb_per_second":             perSecond(to.bytes-from.bytes, span) / 1e6,
		"max_us":                    us(h.max.Load()),
		"client_cpu_us_per_command": perCommand(from.client, to.client, commands),
		"server_cpu_us_per_command": perCommand(from.server, to.server, commands),
		"errors":                    r.errors.Load(),
		"first_error":               r.firstError.Load(),
		"unsent":                    r.unsent,
		"elapsed_s":                 span.Seconds(),
		"commands":                  commands,
		"results":                   results,
		"parameters":                r.parameters(peer),
	}
	for name, value := range latency {
		object[name] = value
	}
	if o.Burst > 0 {
		object["burst"] = burstOf(span, h)
	}
	if o.JSON {
		_ = json.NewEncoder(os.Stdout).Encode(object)
		return
	}
	fmt.Println(o.title(peer.Name))
	fmt.Printf("%-22s%14.0f\n%-22s%14.0f\n", "commands/s", object["commands_per_second"], "results/s", object["results_per_second"])
	for _, name := range []string{"p50_us", "p90_us", "p99_us", "p999_us", "max_us"} {
		fmt.Printf("%-22s%14.1f\n", name, object[name])
	}
	fmt.Printf("%-22s%14d\n", "errors", r.errors.Load())
	if first := r.firstError.Load(); first != nil {
		fmt.Println("the first:", *first)
	}
}

// The columns of the Go benchmark: nanoseconds; its p99 is the 99.9th percentile.
func burstOf(span time.Duration, h *histogram) map[string]uint64 {
	return map[string]uint64{
		"ns":    uint64(span),
		"mean":  h.sum.Load() / max(h.count.Load(), 1),
		"med":   h.quantile(0.5),
		"max":   h.max.Load(),
		"min":   ^h.min.Load(),
		"p99":   h.quantile(0.999),
		"count": h.count.Load(),
	}
}

func (r *run) parameters(peer Peer) map[string]any {
	o := r.options
	parameters := map[string]any{
		"peer": peer.Name, "command": o.Command, "codec": o.Codec, "address": o.Connect, "mode": o.mode(),
		"dispatch": "sticky", "conns": o.Conns, "in_flight": o.InFlight, "threads": runtime.GOMAXPROCS(0),
		"rate": nil, "string_size": o.StringSize, "stream_count": o.StreamCount, "stream_size": o.StreamSize,
		"sleep_ms": o.SleepMs, "work_us": o.WorkUs, "duration_s": o.Duration, "warmup_s": o.Warmup,
		"buffer_size": o.BufferSize, "keepalive": o.Keepalive, "reconnect": o.Reconnect,
	}
	if o.Rate > 0 {
		parameters["rate"] = o.Rate
	}
	return parameters
}
