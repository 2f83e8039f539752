// SPDX-License-Identifier: MIT

// Package load drives a server of the test protocol as `cmdstream bench` does, whatever the transport: the same options,
// the same data, every answer checked, the same JSON.
package load

import (
	"errors"
	"flag"
	"fmt"
	"strconv"
	"time"
)

// Options of `bench`.
type Options struct {
	Connect, Command, Codec, StringSize, ServerInfo string
	Rate, Duration, Warmup                          float64
	Conns, InFlight, Burst                          int
	StreamCount, StreamSize, SleepMs, WorkUs        int64
	ServerPid, BufferSize                           int
	Keepalive, Reconnect, JSON                      bool

	stringMin, stringMax int
}

const stringRandomMax = 1006 // The Go benchmark's data: uniform 0..1006.

// Define adds the options to a set.
func (o *Options) Define(set *flag.FlagSet) {
	set.StringVar(&o.Connect, "connect", "", "measure this server (default: one of its own, in a child process)")
	set.StringVar(&o.Command, "command", "echo", "echo, stream, sleep or work")
	set.StringVar(&o.Codec, "codec", "msgpack", "msgpack, msgpack-map, json, protobuf, mus")
	set.Float64Var(&o.Duration, "duration", 5, "seconds that are measured")
	set.Float64Var(&o.Warmup, "warmup", 0.5, "seconds before them")
	set.IntVar(&o.Conns, "conns", 8, "connections")
	set.IntVar(&o.InFlight, "in-flight", 0, "commands in flight on each (default 128; with --rate the most, 1024)")
	set.Float64Var(&o.Rate, "rate", 0, "open loop: so many commands/s in total, however fast the answers come")
	set.IntVar(&o.Burst, "burst", 0, "so many commands, all in flight at once, and no more")
	set.StringVar(&o.StringSize, "string-size", "random", "bytes in an echo, or random: uniform 0..1006")
	set.Int64Var(&o.StreamCount, "stream-count", 1000, "results of one stream command")
	set.Int64Var(&o.StreamSize, "stream-size", 64, "bytes in each")
	set.Int64Var(&o.SleepMs, "sleep-ms", 10, "of one sleep command")
	set.Int64Var(&o.WorkUs, "work-us", 10, "of one work command")
	set.IntVar(&o.ServerPid, "server-pid", 0, "with --connect: count the CPU time of this process")
	set.IntVar(&o.BufferSize, "buffer-size", 0, "bytes of the reader's and the writer's buffers, both sides; 0: the library's default")
	set.StringVar(&o.ServerInfo, "server-info", "default", "what the server must say")
	set.BoolVar(&o.Keepalive, "keepalive", false, "send pings on idle connections")
	set.BoolVar(&o.Reconnect, "reconnect", false, "connect again when a connection is lost")
	set.BoolVar(&o.JSON, "json", false, "print one JSON object")
}

// Check fills in what depends on other options, and refuses what makes no sense.
func (o *Options) Check() error {
	switch o.Command {
	case "echo", "stream", "sleep", "work":
	default:
		return errors.New("--command is one of echo, stream, sleep, work")
	}
	if o.StringSize == "random" {
		o.stringMax = stringRandomMax
	} else {
		size, err := strconv.Atoi(o.StringSize)
		if err != nil || size < 0 || size > 8<<20 {
			return errors.New("--string-size is a number of bytes, at most 8 MiB, or random")
		}
		o.stringMin, o.stringMax = size, size
	}
	if o.InFlight == 0 {
		o.InFlight = 128
		if o.Rate > 0 {
			o.InFlight = 1024
		}
	}
	if o.Conns < 1 || o.InFlight < 1 || o.Duration <= 0 || o.Warmup < 0 || o.Rate < 0 || o.Burst < 0 {
		return errors.New("--conns, --in-flight and --duration are more than 0; the others not less")
	}
	if o.Rate > 0 && o.Burst > 0 {
		return errors.New("--rate or --burst, not both")
	}
	return nil
}

func (o *Options) mode() string {
	switch {
	case o.Burst > 0:
		return "burst"
	case o.Rate > 0:
		return "open"
	}
	return "closed"
}

func (o *Options) title(peer string) string {
	switch o.mode() {
	case "burst":
		return fmt.Sprintf("%s, %s, %s: %d connections, %d commands at once", peer, o.Command, o.Codec, o.Conns, o.Burst)
	case "open":
		return fmt.Sprintf("%s, %s, %s: %d connections, %.0f commands/s asked for", peer, o.Command, o.Codec, o.Conns, o.Rate)
	}
	return fmt.Sprintf("%s, %s, %s: %d connections x %d in flight", peer, o.Command, o.Codec, o.Conns, o.InFlight)
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }
