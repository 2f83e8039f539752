// SPDX-License-Identifier: MIT

// Package stress is the stress protocol on cmd-stream-go: the other side of `cmdstream stress`, whose
// src/tool/stress/protocol.h says what the types are. A server that restarts, and clients that check every result.
package stress

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"cmdstream/perf/go/codecs"

	msgpack "cmdstream/codecs/msgpack/go"

	cln "github.com/cmd-stream/cmd-stream-go/client"
	"github.com/cmd-stream/cmd-stream-go/core"
	srv "github.com/cmd-stream/cmd-stream-go/server"
)

// Receiver has no state: all that a command needs is in it.
type Receiver struct{}

// What one command may ask for.
const (
	countMax   = 1 << 20
	sizeMax    = 1 << 16
	exitVerify = 3
)

var errFail = errors.New("asked for")

// EchoCmd is command 0.
type EchoCmd struct {
	Seed    int64  `json:"seed" msgpack:"seed"`
	Number  int64  `json:"number" msgpack:"number"`
	DelayMs int64  `json:"delay_ms" msgpack:"delay_ms"`
	Text    string `json:"text" msgpack:"text"`
}

// StreamCmd is command 1.
type StreamCmd struct {
	Seed    int64 `json:"seed" msgpack:"seed"`
	Number  int64 `json:"number" msgpack:"number"`
	DelayMs int64 `json:"delay_ms" msgpack:"delay_ms"`
	Count   int64 `json:"count" msgpack:"count"`
	Size    int64 `json:"size" msgpack:"size"`
}

// FailCmd is command 2.
type FailCmd struct {
	Number  int64 `json:"number" msgpack:"number"`
	DelayMs int64 `json:"delay_ms" msgpack:"delay_ms"`
}

// EchoResult is result 0.
type EchoResult struct {
	Number int64  `json:"number" msgpack:"number"`
	Text   string `json:"text" msgpack:"text"`
}

// ItemResult is result 1.
type ItemResult struct {
	Number int64  `json:"number" msgpack:"number"`
	Index  int64  `json:"index" msgpack:"index"`
	Last   bool   `json:"last" msgpack:"last"`
	Text   string `json:"text" msgpack:"text"`
}

// LastOne is always true.
func (EchoResult) LastOne() bool { return true }

// LastOne is true of one item.
func (r ItemResult) LastOne() bool { return r.Last }

// Exec sends the text back, if it is the right one.
func (c EchoCmd) Exec(ctx context.Context, seq core.Seq, _ time.Time, _ Receiver, proxy core.Proxy) error {
	if c.Text != Text(uint64(c.Seed), uint64(c.Number), 0, len(c.Text)) {
		wrong(c.Number, "a text that its client did not send")
	}
	if err := pause(ctx, c.DelayMs); err != nil {
		return err
	}
	_, err := proxy.Send(seq, EchoResult{c.Number, c.Text})
	return err
}

// Exec sends the items.
func (c StreamCmd) Exec(ctx context.Context, seq core.Seq, _ time.Time, _ Receiver, proxy core.Proxy) error {
	if c.Count < 1 || c.Count > countMax || c.Size < 0 || c.Size > sizeMax {
		wrong(c.Number, "numbers that its client did not send")
	}
	for i := range c.Count {
		if err := pause(ctx, c.DelayMs/c.Count); err != nil {
			return err
		}
		if _, err := proxy.Send(seq, c.item(i)); err != nil {
			return err
		}
	}
	return nil
}

func (c StreamCmd) item(index int64) ItemResult {
	seed, number, i := uint64(c.Seed), uint64(c.Number), uint64(index)
	return ItemResult{c.Number, index, index == c.Count-1, Text(seed, number, i, ItemSize(seed, number, i, c.Size))}
}

// Exec fails: the connection is closed.
func (c FailCmd) Exec(ctx context.Context, _ core.Seq, _ time.Time, _ Receiver, _ core.Proxy) error {
	_ = pause(ctx, c.DelayMs)
	return errFail
}

func pause(ctx context.Context, ms int64) error {
	if ms <= 0 {
		return nil
	}
	select {
	case <-time.After(time.Duration(ms) * time.Millisecond):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// A byte was changed somewhere, and no later result may hide that.
func wrong(number int64, what string) {
	fmt.Fprintf(os.Stderr, "cmdstream-go stress: VERIFY: the server got command %d with %s\n", number, what)
	os.Exit(exitVerify)
}

var (
	commands = []core.Cmd[Receiver]{EchoCmd{}, StreamCmd{}, FailCmd{}}
	results  = []core.Result{EchoResult{}, ItemResult{}}
)

func newCodecs(name string) (client cln.Codec[Receiver], server srv.Codec[Receiver], err error) {
	switch name {
	case "json":
		client, server = codecs.JSON[Receiver](
			[]codecs.Listed{codecs.AsJSON[EchoCmd](), codecs.AsJSON[StreamCmd](), codecs.AsJSON[FailCmd]()},
			[]codecs.Listed{codecs.AsJSON[EchoResult](), codecs.AsJSON[ItemResult]()})
		return
	case "msgpack":
		c, err := msgpack.NewClientCodec(commands, results)
		if err != nil {
			return nil, nil, err
		}
		s, err := msgpack.NewServerCodec(commands, results)
		return c, s, err
	}
	return nil, nil, fmt.Errorf("no codec %q; there are json and msgpack", name)
}
