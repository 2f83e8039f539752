// SPDX-License-Identifier: MIT

package load

import (
	"errors"
	"sync/atomic"
	"time"

	"cmdstream/perf/go/testproto"
)

// Lane has one command in flight at most. One goroutine at a time uses it. With each result comes the size of its body on
// the wire.
type Lane interface {
	Echo(testproto.EchoCmd) (testproto.EchoResult, int, error)
	Sleep(testproto.SleepCmd) (testproto.EchoResult, int, error)
	Work(testproto.WorkCmd) (testproto.EchoResult, int, error)
	Stream(command testproto.StreamCmd, item func(testproto.ItemResult, int)) error
}

const textOffsets = 16384 // Strings start anywhere in so much text; a power of two.

var errWrong = errors.New("an answer was not the one to its command")

// What the lanes of some connections share, as a client shard of the C tool: the numbers of commands, and the counts.
type shard struct {
	numbers                  atomic.Int64
	commands, results, bytes atomic.Uint64 // Bytes: bodies of results.
	histogram                histogram
	_                        [64]byte
}

// lane is a Lane, with what it sends and where it is counted.
type lane struct {
	Lane
	run    *run
	shard  *shard
	random uint64
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
	number := l.shard.numbers.Add(1)
	return testproto.EchoCmd{Bool: number&1 != 0, Int64: number, String: l.nextText(), Float64: float64(number) * 0.5}
}

// call sends the next command, waits for its last result and checks all of them.
func (l *lane) call() error {
	o := l.run.options
	switch o.Command {
	case "stream":
		return l.callStream()
	case "work":
		got, size, err := l.Work(testproto.WorkCmd{Us: o.WorkUs})
		return l.take(testproto.EchoResult{}, got, size, err)
	case "sleep":
		e := l.nextEcho()
		got, size, err := l.Sleep(testproto.SleepCmd{Ms: o.SleepMs, Bool: e.Bool, Int64: e.Int64, String: e.String,
			Float64: e.Float64})
		return l.take(testproto.EchoResult(e), got, size, err)
	}
	e := l.nextEcho()
	got, size, err := l.Echo(e)
	return l.take(testproto.EchoResult(e), got, size, err)
}

func (l *lane) take(want, got testproto.EchoResult, size int, err error) error {
	if err != nil {
		return err
	}
	if got != want {
		l.run.fail(errWrong)
	}
	l.shard.results.Add(1)
	l.shard.bytes.Add(uint64(size))
	return nil
}

func (l *lane) callStream() error {
	o := l.run.options
	index, right := int64(0), true
	err := l.Stream(testproto.StreamCmd{Count: o.StreamCount, Size: o.StreamSize}, func(item testproto.ItemResult, size int) {
		want := testproto.ItemResult{Index: index, Last: index == o.StreamCount-1, Data: l.run.pattern}
		if o.StreamCount == 0 {
			want.Index, want.Last = -1, true
		}
		right = right && item == want
		index++
		l.shard.results.Add(1)
		l.shard.bytes.Add(uint64(size))
	})
	if err == nil && (!right || index != max(o.StreamCount, 1)) {
		l.run.fail(errWrong)
	}
	return err
}

// ended counts a command that began, or was due, at `began`. It returns false when the lane is to send no other.
func (l *lane) ended(began, now time.Time, err error) bool {
	if err != nil {
		l.run.fail(err)
		return false
	}
	l.shard.commands.Add(1)
	if l.run.measures(began) {
		l.shard.histogram.record(now.Sub(began))
	}
	return !l.run.wornOut()
}
