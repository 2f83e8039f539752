// SPDX-License-Identifier: MIT

// Package load drives a server of the test protocol as `cmdstream bench` does, whatever the transport: the same options,
// the same data, every answer checked, the same JSON.
package load

import (
	"errors"
	"flag"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Options of `bench`, whatever the peer.
type Options struct {
	Connect, Command, StringSize             string
	Rate, Duration, Warmup                   float64
	Conns, InFlight, Burst                   int
	StreamCount, StreamSize, SleepMs, WorkUs int64
	ServerPid, BufferSize                    int
	JSON                                     bool
	Codec                                    string // The peer's business; here it is a word in the report.

	commands             []string
	stringMin, stringMax int
}

const (
	stringRandomMax = 1006 // The Go benchmark's data: uniform 0..1006.
	sizeMax         = 8 << 20
)

// Define adds the options to a set. `commands` are those that the peer knows.
func (o *Options) Define(set *flag.FlagSet, commands ...string) {
	o.commands = commands
	set.StringVar(&o.Connect, "connect", "", "measure this server (default: one of its own, in a child process)")
	set.StringVar(&o.Command, "command", "echo", strings.Join(commands, ", "))
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
	if slices.Contains(commands, "work") {
		set.Int64Var(&o.WorkUs, "work-us", 10, "of one work command")
	}
	set.IntVar(&o.ServerPid, "server-pid", 0, "with --connect: count the CPU time of this process")
	set.IntVar(&o.BufferSize, "buffer-size", 0, "bytes of the reader's and the writer's buffers, both sides; 0: the library's default")
	set.BoolVar(&o.JSON, "json", false, "print one JSON object")
}

// Options that only count together with others; given without them, they would be ignored, and so are refused.
var together = []struct {
	options []string
	counts  func(o *Options) bool
	where   string
}{
	{[]string{"duration", "warmup", "in-flight"}, func(o *Options) bool { return o.Burst == 0 }, "without --burst"},
	{[]string{"server-pid"}, func(o *Options) bool { return o.Connect != "" }, "with --connect"},
	{[]string{"stream-count", "stream-size"}, func(o *Options) bool { return o.Command == "stream" }, "with --command stream"},
	{[]string{"sleep-ms"}, func(o *Options) bool { return o.Command == "sleep" }, "with --command sleep"},
	{[]string{"work-us"}, func(o *Options) bool { return o.Command == "work" }, "with --command work"},
	{[]string{"string-size"}, func(o *Options) bool { return o.Command == "echo" || o.Command == "sleep" },
		"with --command echo or sleep"},
}

func (o *Options) refuseIgnored(set *flag.FlagSet) (err error) {
	set.Visit(func(given *flag.Flag) {
		for _, one := range together {
			if slices.Contains(one.options, given.Name) && !one.counts(o) {
				err = fmt.Errorf("--%s counts only %s", given.Name, one.where)
			}
		}
	})
	return
}

// Check refuses what makes no sense, and fills in what depends on other options. `set` was parsed.
func (o *Options) Check(set *flag.FlagSet) error {
	if set.NArg() > 0 {
		return fmt.Errorf("%q is no option", set.Arg(0))
	}
	if !slices.Contains(o.commands, o.Command) {
		return fmt.Errorf("--command is one of %s", strings.Join(o.commands, ", "))
	}
	if o.InFlight < 0 || o.Conns < 1 || o.Duration <= 0 || o.Warmup < 0 || o.Rate < 0 || o.Burst < 0 {
		return errors.New("--conns and --duration are more than 0; --in-flight, --warmup, --rate and --burst not less")
	}
	if o.StreamCount < 0 || o.StreamSize < 0 || o.StreamSize > sizeMax || o.SleepMs < 0 || o.WorkUs < 0 || o.BufferSize < 0 {
		return errors.New("--stream-count, --stream-size (at most 8 MiB), --sleep-ms, --work-us and --buffer-size are not negative")
	}
	if o.Rate > 0 && o.Burst > 0 {
		return errors.New("--rate or --burst, not both")
	}
	if err := o.refuseIgnored(set); err != nil {
		return err
	}
	if o.InFlight == 0 {
		o.InFlight = 128
		if o.Rate > 0 {
			o.InFlight = 1024
		}
	}
	return o.takeStringSize()
}

func (o *Options) takeStringSize() error {
	if o.StringSize == "random" {
		o.stringMax = stringRandomMax
		return nil
	}
	size, err := strconv.Atoi(o.StringSize)
	if err != nil || size < 0 || size > sizeMax {
		return errors.New("--string-size is a number of bytes, at most 8 MiB, or random")
	}
	o.stringMin, o.stringMax = size, size
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
