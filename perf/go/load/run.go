// SPDX-License-Identifier: MIT

package load

import (
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"cmdstream/perf/go/testproto"
)

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
	answerTime = 5 * time.Second // For the commands in flight at the end, beside what they sleep; the C tool's deadline.
	burstTime  = 5 * time.Minute
	errorsMax  = 1000 // Then the run ends.
)

var errUnanswered = errors.New("commands were not answered")

type run struct {
	options     *Options
	text        string // What strings are cut from.
	pattern     string // What a stream's item must hold.
	shards      []shard
	connections []Conn
	errors      atomic.Uint64
	firstError  atomic.Pointer[string]

	// Constant while the load runs. A command counts if it begins in [measureFrom, end).
	start, measureFrom, end, giveUp time.Time

	schedule *schedule // Open loop.
	unsent   uint64
	from, to sample // The two ends of what is measured.
}

type sample struct {
	at                       time.Time
	commands, results, bytes uint64
	client, server           time.Duration // CPU; server negative: unknown.
	memory                   runtime.MemStats
}

func (r *run) fail(err error) {
	r.errors.Add(1)
	text := err.Error()
	r.firstError.CompareAndSwap(nil, &text)
}

func (r *run) wornOut() bool { return r.errors.Load() > errorsMax }

func (r *run) measures(began time.Time) bool {
	return !began.Before(r.measureFrom) && began.Before(r.end)
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

// Bench runs one measurement and prints what it found. It returns false if anything went wrong in it.
func Bench(options *Options, peer Peer) (bool, error) {
	r := &run{options: options, pattern: testproto.Pattern(int(options.StreamSize)), text: makeText(options.stringMax),
		shards: make([]shard, runtime.GOMAXPROCS(0))}
	defer r.close()
	if err := r.connect(peer); err != nil {
		return false, err
	}
	if err := r.drive(); err != nil {
		r.fail(err)
	}
	if err := r.report(peer); err != nil {
		return false, err
	}
	return r.errors.Load() == 0, nil
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

func (r *run) close() {
	for _, connection := range r.connections {
		_ = connection.Close()
	}
}

func (r *run) lane(i int) *lane {
	connection := i % len(r.connections)
	return &lane{
		Lane:   r.connections[connection].Lane(),
		run:    r,
		shard:  &r.shards[connection%len(r.shards)],
		random: 0x9e3779b97f4a7c15 * uint64(i+1),
	}
}

// In turns over the connections: in the open loop, where a few lanes do the work, none is to carry it all.
func (r *run) lanes() (lanes []*lane) {
	for i := range r.options.Conns * r.options.InFlight {
		lanes = append(lanes, r.lane(i))
	}
	return
}

func (r *run) drive() error {
	switch r.options.mode() {
	case "burst":
		return r.driveBurst()
	case "open":
		return r.driveOpen()
	}
	return r.driveClosed()
}

func (r *run) setTimes() {
	r.start = time.Now()
	r.measureFrom = r.start.Add(seconds(r.options.Warmup))
	r.end = r.measureFrom.Add(seconds(r.options.Duration))
	r.giveUp = r.end.Add(answerTime + time.Duration(r.options.SleepMs)*time.Millisecond)
}

// watch samples at the two ends of the measured time, and waits for what is in flight.
func (r *run) watch(wait *sync.WaitGroup) error {
	time.Sleep(time.Until(r.measureFrom))
	r.from = r.sample()
	time.Sleep(time.Until(r.end))
	r.to = r.sample()
	return waitFor(wait, time.Until(r.giveUp)+time.Second)
}

func launch(wait *sync.WaitGroup, do func()) {
	wait.Add(1)
	go func() {
		defer wait.Done()
		do()
	}()
}

func waitFor(wait *sync.WaitGroup, limit time.Duration) error {
	ended := make(chan struct{})
	go func() { wait.Wait(); close(ended) }()
	select {
	case <-ended:
		return nil
	case <-time.After(limit):
		return errUnanswered
	}
}

// --- Closed loop: as soon as its command is answered, a lane sends the next one -------------------

func (r *run) driveClosed() error {
	var wait sync.WaitGroup
	lanes := r.lanes()
	r.setTimes()
	for _, l := range lanes {
		launch(&wait, l.closed)
	}
	return r.watch(&wait)
}

func (l *lane) closed() {
	for began := time.Now(); began.Before(l.run.end); {
		err := l.call()
		now := time.Now()
		if !l.ended(began, now, err) {
			return
		}
		began = now
	}
}

// --- Burst: all at once, a goroutine each, and until all are answered -----------------------------

func (r *run) driveBurst() error {
	var ready, wait sync.WaitGroup
	begin := make(chan struct{})
	r.end = time.Now().Add(2 * burstTime)
	for i := range r.options.Burst {
		l := r.lane(i)
		ready.Add(1)
		launch(&wait, func() {
			ready.Done()
			<-begin
			began := time.Now()
			err := l.call()
			l.ended(began, time.Now(), err)
		})
	}
	ready.Wait()
	runtime.ReadMemStats(&r.from.memory)
	memory := r.from.memory
	r.from = r.sample()
	r.from.memory = memory
	close(begin)
	err := waitFor(&wait, burstTime)
	r.to = r.sample()
	runtime.ReadMemStats(&r.to.memory)
	return err
}
