// SPDX-License-Identifier: MIT

package load

import (
	"encoding/json"
	"fmt"
	"os"
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

// What is unknown is null.
func perCommand(from, to time.Duration, commands uint64) any {
	if from < 0 || to < 0 || commands == 0 {
		return nil
	}
	return float64(to-from) / 1e3 / float64(commands)
}

func perSecond(count uint64, span time.Duration) float64 {
	if span <= 0 {
		return 0
	}
	return float64(count) / span.Seconds()
}

func (r *run) latency() *histogram {
	all := &r.shards[0].histogram
	for i := 1; i < len(r.shards); i++ {
		all.merge(&r.shards[i].histogram)
	}
	return all
}

func (r *run) report(peer Peer) error {
	object := r.object(peer, r.latency())
	if r.options.JSON {
		return json.NewEncoder(os.Stdout).Encode(object)
	}
	r.print(peer, object)
	return nil
}

func (r *run) object(peer Peer, latency *histogram) map[string]any {
	from, to := &r.from, &r.to
	span := to.at.Sub(from.at)
	commands, results := to.commands-from.commands, to.results-from.results
	object := map[string]any{
		"commands_per_second":       perSecond(commands, span),
		"results_per_second":        perSecond(results, span),
		"mb_per_second":             perSecond(to.bytes-from.bytes, span) / 1e6,
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
	addLatency(object, latency)
	if r.options.Burst > 0 {
		object["burst"] = r.burst(span, latency)
	}
	return object
}

var latencyNames = []string{"p50_us", "p90_us", "p99_us", "p999_us", "max_us"}

func addLatency(object map[string]any, latency *histogram) {
	values := []uint64{latency.quantile(0.5), latency.quantile(0.9), latency.quantile(0.99), latency.quantile(0.999),
		latency.max.Load()}
	for i, name := range latencyNames {
		object[name] = nil
		if latency.count.Load() > 0 {
			object[name] = float64(values[i]) / 1e3
		}
	}
}

// The columns of the Go benchmark: nanoseconds; its p99 is the 99.9th percentile. Bytes and allocations per command are
// the client's alone: the server is another process here, and in the Go benchmark it is not.
func (r *run) burst(span time.Duration, latency *histogram) map[string]uint64 {
	count := latency.count.Load()
	each := max(count, 1)
	return map[string]uint64{
		"ns":            uint64(span),
		"mean":          latency.sum.Load() / each,
		"med":           latency.quantile(0.5),
		"max":           latency.max.Load(),
		"min":           ^latency.min.Load(),
		"p99":           latency.quantile(0.999),
		"count":         count,
		"b_per_op":      (r.to.memory.TotalAlloc - r.from.memory.TotalAlloc) / each,
		"allocs_per_op": (r.to.memory.Mallocs - r.from.memory.Mallocs) / each,
	}
}

func (r *run) print(peer Peer, object map[string]any) {
	fmt.Println(r.options.title(peer.Name))
	for _, name := range []string{"commands_per_second", "results_per_second", "mb_per_second"} {
		fmt.Printf("%-28s%14.1f\n", name, object[name])
	}
	for _, name := range append(latencyNames, "client_cpu_us_per_command", "server_cpu_us_per_command") {
		if object[name] == nil {
			fmt.Printf("%-28s%14s\n", name, "-")
		} else {
			fmt.Printf("%-28s%14.1f\n", name, object[name])
		}
	}
	fmt.Printf("%-28s%14d\n%-28s%14d\n", "unsent", r.unsent, "errors", r.errors.Load())
	if first := r.firstError.Load(); first != nil {
		fmt.Println("the first:", *first)
	}
}

func (r *run) parameters(peer Peer) map[string]any {
	o := r.options
	parameters := map[string]any{
		"peer": peer.Name, "command": o.Command, "codec": o.Codec, "address": o.Connect, "mode": o.mode(),
		"dispatch": "sticky", "conns": o.Conns, "in_flight": o.InFlight, "threads": len(r.shards),
		"rate": nil, "string_size": o.StringSize, "stream_count": o.StreamCount, "stream_size": o.StreamSize,
		"sleep_ms": o.SleepMs, "work_us": o.WorkUs, "duration_s": o.Duration, "warmup_s": o.Warmup,
		"buffer_size": o.BufferSize,
	}
	if o.Rate > 0 {
		parameters["rate"] = o.Rate
	}
	return parameters
}
