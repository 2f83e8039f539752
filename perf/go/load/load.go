// SPDX-License-Identifier: MIT

package load

import (
	"errors"
	"fmt"
	"math"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"cmdstream/perf/go/testproto"
)

// Lane has one command in flight at most. One goroutine uses it.
type Lane interface {
	Echo(testproto.EchoCmd) (testproto.EchoResult, error)
	Sleep(testproto.SleepCmd) (testproto.EchoResult, error)
	Work(testproto.WorkCmd) (testproto.EchoResult, error)
	Stream(command testproto.StreamCmd, item func(testproto.ItemResult)) error
}

// Conn is one connection.
type Conn interface {
	Lane() Lane
	Close() error
}

// Peer is what is measured.
type Peer struct {
	Name string // And its version.
	Dial func() (Conn, error)
}

const (
	textOffsets = 16384 // Strings start anywhere in so much text; a power of two.
	shardCount  = 16    // Of the counters.
	drainTime   = 10 * time.Second
	errorsMax   = 1000 // Then the run ends.
)

var errWrong = errors.New("an answer was not the one to its command")

type shard struct {
	commands, results, bytes atomic.Uint64 // Bytes of strings; the C tool counts whole bodies.
	histogram                histogram
	_                        [64]byte
}

type run struct {
	options     *Options
	text        string
	pattern     string
	shards      [shardCount]shard
	errors      atomic.Uint64
	firstError  atomic.Pointer[string]
	start       time.Time
	measureFrom time.Time
	end         time.Time
	due         chan time.Time // Open loop.
	unsent      uint64
	connections []Conn
}

type sample struct {
	at                       time.Time
	commands, results, bytes uint64
	client, server           time.Duration // CPU; server negative: unknown.
}

// lane is a goroutine's own state.
type lane struct {
	Lane
	run    *run
	shard  *shard
	random uint64
	number int64
}

func (r *run) fail(err error) {
	r.errors.Add(1)
	text := err.Error()
	r.firstError.CompareAndSwap(nil, &text)
}

// xorshift64*: the same strings in every run.
func (l *lane) next() uint64 {
	l.random ^= l.random >> 12
	l.random ^= l.random << 25
	l.random ^= l.random >> 27
	return l.random * 2685821657736338717
}

func (l *lane) nextText() string {
	random := l.next()
	o := l.run.options
	span := uint64(o.stringMax-o.stringMin) + 1
	offset := int(random & (textOffsets - 1))
	return l.run.text[offset : offset+o.stringMin+int((random>>32)*span>>32)]
}

func (l *lane) nextEcho() testproto.EchoCmd {
	l.number++
	return testproto.EchoCmd{Bool: l.number&1 != 0, Int64: l.number, String: l.nextText(), Float64: float64(l.number) * 0.5}
}

// call sends the next command, waits for its last result and checks all of them.
func (l *lane) call() error {
	o := l.run.options
	var got, want testproto.EchoResult
	var err error
	switch o.Command {
	case "stream":
		return l.callStream()
	case "work":
		got, err = l.Work(testproto.WorkCmd{Us: o.WorkUs})
	case "sleep":
		e := l.nextEcho()
		want = testproto.EchoResult(e)
		got, err = l.Sleep(testproto.SleepCmd{Ms: o.SleepMs, Bool: e.Bool, Int64: e.Int64, String: e.String, Float64: e.Float64})
	default:
		e := l.nextEcho()
		want = testproto.EchoResult(e)
		got, err = l.Echo(e)
	}
	if err != nil {
		return err
	}
	if got != want {
		l.run.fail(errWrong)
	}
	l.shard.results.Add(1)
	l.shard.bytes.Add(uint64(len(got.String)))
	return nil
}

func (l *lane) callStream() error {
	o := l.run.options
	index, right := int64(0), true
	err := l.Stream(testproto.StreamCmd{Count: o.StreamCount, Size: o.StreamSize}, func(item testproto.ItemResult) {
		if o.StreamCount == 0 {
			right = right && item.Index == -1 && item.Last && item.Data == l.run.pattern
		} else {
			right = right && item.Index == index && item.Last == (index == o.StreamCount-1) && item.Data == l.run.pattern
		}
		index++
		l.shard.results.Add(1)
		l.shard.bytes.Add(uint64(len(item.Data)))
	})
	if err == nil && (!right || index != max(o.StreamCount, 1)) {
		l.run.fail(errWrong)
	}
	return err
}

// done counts a command that began at `began`. It returns false when no other is to follow.
func (l *lane) done(began time.Time, err error) bool {
	if err != nil {
		l.run.fail(err)
		return false
	}
	l.shard.commands.Add(1)
	if !began.Before(l.run.measureFrom) && began.Before(l.run.end) {
		l.shard.histogram.record(uint64(max(time.Since(began), 0)))
	}
	return l.run.errors.Load() <= errorsMax
}

func (l *lane) closed() {
	for began := time.Now(); began.Before(l.run.end); began = time.Now() {
		if !l.done(began, l.call()) {
			return
		}
	}
}

func (l *lane) open() {
	for due := range l.run.due {
		if !l.done(due, l.call()) {
			return
		}
	}
}

// pace says when commands are due. It sleeps in the kernel and not on the runtime's timers, which may be a millisecond late.
func (r *run) pace() {
	runtime.LockOSThread()
	defer close(r.due)
	interval := float64(time.Second) / r.options.Rate
	for count := 0; ; count++ {
		due := r.start.Add(time.Duration(float64(count) * interval))
		if !due.Before(r.end) {
			return
		}
		if wait := time.Until(due); wait > 0 {
			pause := syscall.NsecToTimespec(int64(wait))
			_ = syscall.Nanosleep(&pause, nil)
		}
		select {
		case r.due <- due:
			continue
		default:
		}
		select {
		case r.due <- due:
		case <-time.After(time.Until(r.end)):
			r.countUnsent(count, interval)
			return
		}
	}
}

// What was due and never sent has waited until now at least, and counts so.
func (r *run) countUnsent(count int, interval float64) {
	now := time.Now()
	for ; ; count++ {
		due := r.start.Add(time.Duration(float64(count) * interval))
		if !due.Before(r.end) {
			return
		}
		r.unsent++
		if !due.Before(r.measureFrom) {
			r.shards[0].histogram.record(uint64(max(now.Sub(due), 0)))
		}
	}
}

func (r *run) connect(peer Peer) error {
	for range r.options.Conns {
		connection, err := peer.Dial()
		if err != nil {
			return fmt.Errorf("connection %d: %w", len(r.connections), err)
		}
		r.connections = append(r.connections, connection)
	}
	return nil
}

func (r *run) lanes() (lanes []*lane) {
	count := r.options.Conns * r.options.InFlight
	if r.options.Burst > 0 {
		count = r.options.Burst
	}
	for i := range count {
		lanes = append(lanes, &lane{
			Lane:   r.connections[i%len(r.connections)].Lane(),
			run:    r,
			shard:  &r.shards[i%shardCount],
			random: uint64(i)*0x9e3779b97f4a7c15 + 0x2545f4914f6cdd1d,
			number: int64(i) << 20,
		})
	}
	return
}

func (r *run) sample() (s sample) {
	s.at = time.Now()
	for i := range r.shards {
		s.commands += r.shards[i].commands.Load()
		s.results += r.shards[i].results.Load()
		s.bytes += r.shards[i].bytes.Load()
	}
	s.client, s.server = selfCPU(), processCPU(r.options.ServerPid)
	return
}

// drive starts the lanes, samples at the two ends of the measured time, and waits for what is in flight.
func (r *run) drive(lanes []*lane) (from, to sample, err error) {
	var wait sync.WaitGroup
	r.start = time.Now()
	r.measureFrom = r.start.Add(seconds(r.options.Warmup))
	r.end = r.measureFrom.Add(seconds(r.options.Duration))
	if r.options.Rate > 0 {
		// A place of its own for the goroutine that sleeps in the kernel: it must not hold up what it has started.
		runtime.GOMAXPROCS(runtime.GOMAXPROCS(0) + 1)
		r.due = make(chan time.Time)
		wait.Add(1)
		go func() { defer wait.Done(); r.pace() }()
	}
	for _, l := range lanes {
		wait.Add(1)
		go func() {
			defer wait.Done()
			if r.options.Rate > 0 {
				l.open()
			} else {
				l.closed()
			}
		}()
	}
	time.Sleep(time.Until(r.measureFrom))
	from = r.sample()
	time.Sleep(time.Until(r.end))
	to = r.sample()
	return from, to, waitFor(&wait, drainTime+time.Duration(r.options.SleepMs)*time.Millisecond)
}

// burst sends all commands at once, one goroutine each, and waits until all are answered.
func (r *run) burst(lanes []*lane) (from, to sample, err error) {
	var ready, wait sync.WaitGroup
	begin := make(chan struct{})
	r.end = time.Now().Add(24 * time.Hour)
	for _, l := range lanes {
		ready.Add(1)
		wait.Add(1)
		go func() {
			defer wait.Done()
			ready.Done()
			<-begin
			began := time.Now()
			l.done(began, l.call())
		}()
	}
	ready.Wait()
	from = r.sample()
	close(begin)
	err = waitFor(&wait, 5*time.Minute)
	to = r.sample()
	return
}

func waitFor(wait *sync.WaitGroup, limit time.Duration) error {
	ended := make(chan struct{})
	go func() { wait.Wait(); close(ended) }()
	select {
	case <-ended:
		return nil
	case <-time.After(limit):
		return errors.New("commands were not answered")
	}
}

// Bench runs one measurement and prints what it found. It returns the exit status.
func Bench(options *Options, peer Peer) (int, error) {
	r := &run{options: options, pattern: testproto.Pattern(int(options.StreamSize)), text: makeText(options.stringMax)}
	defer func() {
		for _, connection := range r.connections {
			_ = connection.Close()
		}
	}()
	if err := r.connect(peer); err != nil {
		return 1, err
	}
	drive := r.drive
	if options.Burst > 0 {
		drive = r.burst
	}
	from, to, err := drive(r.lanes())
	if err != nil {
		r.fail(err)
	}
	all := &r.shards[0].histogram
	for i := 1; i < shardCount; i++ {
		all.merge(&r.shards[i].histogram)
	}
	r.report(peer, from, to, all)
	if r.errors.Load() > 0 {
		return 1, nil
	}
	return 0, nil
}

func makeText(stringMax int) string {
	text := make([]byte, textOffsets+stringMax)
	random := uint32(1)
	for i := range text {
		random = random*1664525 + 1013904223
		text[i] = ' ' + byte(random>>24)%95
	}
	return string(text)
}

func perSecond(count uint64, span time.Duration) float64 {
	if span <= 0 {
		return math.NaN()
	}
	return float64(count) / span.Seconds()
}
