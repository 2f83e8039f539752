// SPDX-License-Identifier: MIT

// Package testproto is the test protocol on cmd-stream-go: five commands, two results. Every tool of this repository
// serves and speaks it, so that anything can be driven from outside.
//
//	command                                 what the server does
//	0 echo    bool int64 string float64     one result 0 with equal fields
//	1 stream  count size                    count results 1, the final one last; 0: one with index -1
//	2 sleep   ms, then the four of echo     one result 0 after so long; nothing else is held up
//	3 fail                                  the execution fails, and this connection is closed
//	4 work    us                            burns CPU in a pool of threads, then one result 0 of zeros
package testproto

import (
	"context"
	"errors"
	"math/bits"
	"strings"
	"sync/atomic"
	"time"

	"github.com/cmd-stream/cmd-stream-go/core"
)

// Receiver is what the commands are executed on.
type Receiver struct {
	items Items
	pool  chan struct{} // A token for each `work` that may burn at a time.
}

// NewReceiver makes a receiver; items of a stream have dataMax bytes at most.
func NewReceiver(dataMax, workers int) *Receiver {
	return &Receiver{Items{SizeMax: dataMax}, make(chan struct{}, workers)}
}

// Pattern is what an item of a stream holds: byte i is 'a' + i % 26.
func Pattern(size int) string {
	var data strings.Builder // Which hands its memory over: no garbage that a server would look small by.
	data.Grow(size)
	for i := range size {
		data.WriteByte('a' + byte(i%26))
	}
	return data.String()
}

// Items has what the items of streams hold, as much as was asked for so far: a server that has no streams must not look
// larger than it is. Any goroutine.
type Items struct {
	SizeMax int
	made    atomic.Pointer[string]
}

const itemsMin = 4096

// Data is what an item of this size holds.
func (i *Items) Data(size int64) (string, error) {
	if size < 0 || size > int64(i.SizeMax) {
		return "", errors.New("stream: the size is out of range")
	}
	if made := i.made.Load(); made != nil && int64(len(*made)) >= size {
		return (*made)[:size], nil
	}
	made := Pattern(1 << bits.Len64(uint64(max(size, itemsMin)-1)))
	i.made.Store(&made) // Another goroutine's may be longer, and then is made again.
	return made[:size], nil
}

var errFail = errors.New("fail was asked for")

// EchoCmd is command 0.
type EchoCmd struct {
	Bool    bool    `json:"bool" msgpack:"bool"`
	Int64   int64   `json:"int64" msgpack:"int64"`
	String  string  `json:"string" msgpack:"string"`
	Float64 float64 `json:"float64" msgpack:"float64"`
}

// Exec sends the same back.
func (c EchoCmd) Exec(_ context.Context, seq core.Seq, _ time.Time, _ *Receiver, proxy core.Proxy) error {
	_, err := proxy.Send(seq, EchoResult(c))
	return err
}

// StreamCmd is command 1.
type StreamCmd struct {
	Count int64 `json:"count" msgpack:"count"`
	Size  int64 `json:"size" msgpack:"size"`
}

// Exec sends the items.
func (c StreamCmd) Exec(_ context.Context, seq core.Seq, _ time.Time, r *Receiver, proxy core.Proxy) (err error) {
	data, err := r.items.Data(c.Size)
	if err != nil {
		return err
	}
	if c.Count <= 0 {
		_, err = proxy.Send(seq, ItemResult{-1, true, data})
		return
	}
	for i := int64(0); i < c.Count && err == nil; i++ {
		_, err = proxy.Send(seq, ItemResult{i, i == c.Count-1, data})
	}
	return
}

// SleepCmd is command 2.
type SleepCmd struct {
	Ms      int64   `json:"ms" msgpack:"ms"`
	Bool    bool    `json:"bool" msgpack:"bool"`
	Int64   int64   `json:"int64" msgpack:"int64"`
	String  string  `json:"string" msgpack:"string"`
	Float64 float64 `json:"float64" msgpack:"float64"`
}

// Exec waits, and sends the four fields of echo back. It ends early with its connection.
func (c SleepCmd) Exec(ctx context.Context, seq core.Seq, _ time.Time, _ *Receiver, proxy core.Proxy) error {
	timer := time.NewTimer(time.Duration(max(c.Ms, 0)) * time.Millisecond)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
		return ctx.Err()
	}
	_, err := proxy.Send(seq, EchoResult{c.Bool, c.Int64, c.String, c.Float64})
	return err
}

// FailCmd is command 3.
type FailCmd struct{}

// Exec fails, and so the connection is closed.
func (FailCmd) Exec(context.Context, core.Seq, time.Time, *Receiver, core.Proxy) error {
	return errFail
}

// WorkCmd is command 4.
type WorkCmd struct {
	Us int64 `json:"us" msgpack:"us"`
}

// Exec burns CPU time; so many at a time as there are workers.
func (c WorkCmd) Exec(_ context.Context, seq core.Seq, _ time.Time, r *Receiver, proxy core.Proxy) error {
	r.pool <- struct{}{}
	burn(time.Duration(c.Us) * time.Microsecond)
	<-r.pool
	_, err := proxy.Send(seq, EchoResult{})
	return err
}

// EchoResult is result 0.
type EchoResult struct {
	Bool    bool    `json:"bool" msgpack:"bool"`
	Int64   int64   `json:"int64" msgpack:"int64"`
	String  string  `json:"string" msgpack:"string"`
	Float64 float64 `json:"float64" msgpack:"float64"`
}

// LastOne is true: there is one result.
func (EchoResult) LastOne() bool { return true }

// ItemResult is result 1.
type ItemResult struct {
	Index int64  `json:"index" msgpack:"index"`
	Last  bool   `json:"last" msgpack:"last"`
	Data  string `json:"data" msgpack:"data"`
}

// LastOne is its field.
func (r ItemResult) LastOne() bool { return r.Last }

// Commands and Results in the order of their numbers.
var (
	Commands = []core.Cmd[*Receiver]{EchoCmd{}, StreamCmd{}, SleepCmd{}, FailCmd{}, WorkCmd{}}
	Results  = []core.Result{EchoResult{}, ItemResult{}}
)
