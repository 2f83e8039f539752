// SPDX-License-Identifier: MIT

package stress

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	cmdstream "github.com/cmd-stream/cmd-stream-go"
	cln "github.com/cmd-stream/cmd-stream-go/client"
	"github.com/cmd-stream/cmd-stream-go/core"
	ccln "github.com/cmd-stream/cmd-stream-go/core/cln"
	dcln "github.com/cmd-stream/cmd-stream-go/delegate/cln"
	grp "github.com/cmd-stream/cmd-stream-go/group"
	sndr "github.com/cmd-stream/cmd-stream-go/sender"
)

// ClientOptions are called as those of `cmdstream stress --connect`.
type ClientOptions struct {
	Address, Codec    string
	Seed              uint64
	Duration          time.Duration
	Sessions, Clients int
	Dial              func(address string) (net.Conn, error)
}

// The probabilities and times of the stress test of cmd-stream-go; pauses are left out.
const (
	failShare    = 0.0001
	echoShare    = 0.4999
	delayShare   = 0.01
	delayMaxMs   = 100
	streamMax    = 5
	payloadMax   = 256
	deadline     = 5 * time.Second
	dialPause    = 20 * time.Millisecond // Its reconnect has none, and would spin.
	startTime    = 30 * time.Second
	handshake    = 5 * time.Second
	keepTime     = 2 * time.Second
	keepInterval = time.Second
)

// Counts of a run.
type Counts struct {
	Total     atomic.Int64
	Echo      atomic.Int64
	Stream    atomic.Int64
	Late      atomic.Int64
	Timeouts  atomic.Int64
	Network   atomic.Int64
	Wrong     atomic.Int64
	Connected atomic.Int64
}

// MarshalJSON uses the names of `cmdstream stress --json`.
func (c *Counts) MarshalJSON() ([]byte, error) {
	return json.Marshal(map[string]int64{
		"total_commands": c.Total.Load(), "verify_errors": c.Wrong.Load(), "success": c.Echo.Load() + c.Stream.Load(),
		"success_echo": c.Echo.Load(), "success_stream": c.Stream.Load(), "late_results": c.Late.Load(),
		"result_timeouts": c.Timeouts.Load(), "network_errors": c.Network.Load(), "connections_up": c.Connected.Load(),
	})
}

type stresser struct {
	options ClientOptions
	counts  Counts
	sender  sndr.Sender[Receiver]
}

// Run stresses a server for the time of the options.
func Run(o ClientOptions) (*Counts, error) {
	s := &stresser{options: o}
	if err := s.connect(); err != nil {
		return nil, err
	}
	end := time.Now().Add(o.Duration)
	var wait sync.WaitGroup
	for session := range o.Sessions {
		wait.Add(1)
		go func() {
			defer wait.Done()
			for n := uint64(0); time.Now().Before(end); n++ {
				s.one(uint64(session)<<32 | n)
			}
		}()
	}
	wait.Wait()
	_ = s.sender.Close()
	return &s.counts, nil
}

func (s *stresser) dial() (net.Conn, error) {
	connection, err := s.options.Dial(s.options.Address)
	if err != nil {
		time.Sleep(dialPause)
		return nil, err
	}
	s.counts.Connected.Add(1)
	return connection, nil
}

// The server may be down at first, which cmd-stream-go does not wait for.
func (s *stresser) connect() error {
	codec, _, err := newCodecs(s.options.Codec)
	if err != nil {
		return err
	}
	late := func(_ core.Seq, result core.Result) {
		s.counts.Late.Add(1)
		if why := s.lookAtLate(result); why != nil {
			s.wrong(0, why)
		}
	}
	set := grp.WithClient[Receiver](
		cln.WithDelegate(dcln.WithServerInfoReceiveDuration(handshake)),
		cln.WithKeepalive(dcln.WithKeepaliveTime(keepTime), dcln.WithKeepaliveIntvl(keepInterval)),
		cln.WithCore(ccln.WithUnexpectedResultCallback(late)))
	for start := time.Now(); ; {
		group, err := cmdstream.NewGroup(s.options.Clients, codec, cln.ConnFactoryFn(s.dial), grp.WithReconnect[Receiver](), set)
		if err == nil {
			s.sender = sndr.New[Receiver](group)
			return nil
		}
		if time.Since(start) > startTime {
			return err
		}
	}
}

func (s *stresser) random(number, purpose uint64) uint64 {
	return random(s.options.Seed, number, purpose)
}

// One command, and all that is checked of it.
func (s *stresser) one(number uint64) {
	ctx, cancel := context.WithTimeout(context.Background(), deadline)
	defer cancel()
	kind := share(s.random(number, purposeKind))
	size := int64(s.random(number, purposeSize) % (payloadMax + 1))
	delay := int64(0)
	if share(s.random(number, purposeDelay)) < delayShare {
		delay = int64(s.random(number, purposeDelay+1<<32) % (delayMaxMs + 1))
	}
	var wrong, err error
	good := &s.counts.Echo
	switch {
	case kind < failShare:
		if _, err = s.sender.Send(ctx, FailCmd{int64(number), delay}); err == nil {
			wrong = errors.New("a command that had to fail has a result")
		}
	case kind < failShare+echoShare:
		wrong, err = s.echo(ctx, number, int(size), delay)
	default:
		good = &s.counts.Stream
		count := int64(s.random(number, purposeCount)%streamMax) + 1
		wrong, err = s.stream(ctx, StreamCmd{int64(s.options.Seed), int64(number), delay, count, size})
	}
	s.counts.Total.Add(1)
	switch {
	case wrong != nil:
		s.wrong(number, wrong)
	case err == nil:
		good.Add(1)
	case errors.Is(err, sndr.ErrTimeout):
		s.counts.Timeouts.Add(1)
	default:
		s.counts.Network.Add(1)
		time.Sleep(time.Millisecond) // While no connection is there.
	}
}

func (s *stresser) wrong(number uint64, why error) {
	s.counts.Wrong.Add(1)
	fmt.Fprintf(os.Stderr, "cmdstream-go stress: VERIFY: command %d of session %d: %v\n", number&0xffffffff, number>>32, why)
}

func (s *stresser) echo(ctx context.Context, number uint64, size int, delay int64) (wrong, err error) {
	text := Text(s.options.Seed, number, 0, size)
	result, err := s.sender.Send(ctx, EchoCmd{int64(s.options.Seed), int64(number), delay, text})
	if err == nil && result != core.Result(EchoResult{int64(number), text}) {
		wrong = fmt.Errorf("an echo's answer is %.100v", result)
	}
	return
}

func (s *stresser) stream(ctx context.Context, command StreamCmd) (wrong, err error) {
	got := int64(0)
	handle := func(result core.Result, failure error) error {
		if failure != nil {
			err = failure
			return failure
		}
		if got >= command.Count || result != core.Result(command.item(got)) {
			wrong = fmt.Errorf("item %d of %d is %.100v", got, command.Count, result)
		}
		got++
		return nil
	}
	sent := s.sender.SendMulti(ctx, command, int(command.Count), sndr.ResultHandlerFn(handle))
	if err == nil {
		err = sent
	}
	if err == nil && got != command.Count {
		wrong = fmt.Errorf("%d of %d items, and no error", got, command.Count)
	}
	return
}

func (s *stresser) lookAtLate(result core.Result) error {
	switch r := result.(type) {
	case EchoResult:
		if r.Text == Text(s.options.Seed, uint64(r.Number), 0, len(r.Text)) {
			return nil
		}
	case ItemResult:
		if r.Text == Text(s.options.Seed, uint64(r.Number), uint64(r.Index), len(r.Text)) {
			return nil
		}
	}
	return fmt.Errorf("a late result is %.100v", result)
}
