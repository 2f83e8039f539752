// SPDX-License-Identifier: MIT

package main

import (
	"bufio"
	"crypto/tls"
	"errors"
	"flag"
	"fmt"
	"math"
	"net"
	"os"
	"strings"
	"sync"
	"time"

	"cmdstream/perf/go/testproto"

	"github.com/cmd-stream/cmd-stream-go/core"
	ccln "github.com/cmd-stream/cmd-stream-go/core/cln"
	dlgt "github.com/cmd-stream/cmd-stream-go/delegate"
	dcln "github.com/cmd-stream/cmd-stream-go/delegate/cln"
)

const answerTime = 20 * time.Second // Of any command; a server that is slower does not answer.

var errNoAnswer = errors.New("no answer came")

// A checker speaks to one server. Its functions are the rows of the matrix.
type checker struct {
	options  clientOptions
	pingTime time.Duration
	resumes  bool
}

var checks = []struct {
	name string
	run  func(*checker) error
}{
	{"echo", (*checker).echo},
	{"stream", (*checker).stream},
	{"sleep", (*checker).sleep},
	{"work", (*checker).work},
	{"fail", (*checker).fail},
	{"info", (*checker).info},
	{"group", (*checker).group},
	{"keepalive", (*checker).keepalive},
	{"reconnect", (*checker).reconnect},
	{"tls", (*checker).tls},
}

func check(set *flag.FlagSet, arguments []string) int {
	var c checker
	set.StringVar(&c.options.address, "connect", "127.0.0.1:9000", "the server")
	set.StringVar(&c.options.codec, "codec", "msgpack", "msgpack, msgpack-map, json, protobuf, mus")
	set.StringVar(&c.options.info, "server-info", "default", "what the server says")
	c.options.tls.defineClient(set)
	set.DurationVar(&c.pingTime, "ping-time", 100*time.Millisecond, "for keepalive: the time between two pings")
	only := set.String("only", "echo,stream,sleep,work,fail,info,group",
		"these; and keepalive: the server closes what is idle for several --ping-time; reconnect: a line on stdin when it is back; tls: what two handshakes agree on")
	set.BoolVar(&c.resumes, "tls-resumes", false, "for tls: the second handshake must resume the first; else it must not")
	_ = set.Parse(arguments)
	status := 0
	for _, name := range strings.Split(*only, ",") {
		if err := c.one(name); err != nil {
			fmt.Printf("FAIL %s: %s\n", name, strings.ReplaceAll(err.Error(), "\n", "; "))
			status = exitFailed
		} else {
			fmt.Printf("ok %s\n", name)
		}
	}
	return status
}

func (c *checker) one(name string) error {
	for _, one := range checks {
		if one.name == name {
			return one.run(c)
		}
	}
	return errors.New("no such check")
}

func (c *checker) dial() (*ccln.Client[receiver], error) {
	d, err := newDialer(c.options)
	if err != nil {
		return nil, err
	}
	return d.dial()
}

// with runs `use` on a connection of its own.
func (c *checker) with(use func(*ccln.Client[receiver]) error) error {
	client, err := c.dial()
	if err != nil {
		return err
	}
	defer func() { _ = client.Close(); <-client.Done() }()
	return use(client)
}

func next(results <-chan core.AsyncResult) (core.Result, error) {
	return nextWithin(answerTime, results)
}

func nextWithin(limit time.Duration, results <-chan core.AsyncResult) (core.Result, error) {
	select {
	case answer := <-results:
		return answer.Result, answer.Error
	case <-time.After(limit):
		return nil, errNoAnswer
	}
}

func expect(client *ccln.Client[receiver], cmd core.Cmd[receiver], want testproto.EchoResult) error {
	return expectWithin(answerTime, client, cmd, want)
}

func expectWithin(limit time.Duration, client *ccln.Client[receiver], cmd core.Cmd[receiver], want testproto.EchoResult) error {
	results := make(chan core.AsyncResult, 1)
	if _, _, err := client.Send(cmd, results); err != nil {
		return err
	}
	got, err := nextWithin(limit, results)
	if err != nil {
		return err
	}
	if !same(got, want) {
		return fmt.Errorf("%.100v came back for %.100v", got, want)
	}
	return nil
}

// Bit for bit: a NaN is the same as itself, and -0 is not 0.
func same(got core.Result, want testproto.EchoResult) bool {
	echo, ok := got.(testproto.EchoResult)
	return ok && echo.Bool == want.Bool && echo.Int64 == want.Int64 && echo.String == want.String &&
		math.Float64bits(echo.Float64) == math.Float64bits(want.Float64)
}

// Values of each field at the borders of what the codecs write differently.
func (c *checker) values() (values []testproto.EchoCmd) {
	for bits := range 64 {
		border := int64(1) << bits
		for _, number := range []int64{border - 1, border, border + 1} {
			values = append(values, testproto.EchoCmd{Bool: bits&1 == 0, Int64: number}, testproto.EchoCmd{Int64: -number})
		}
	}
	floats := []float64{0, math.Copysign(0, -1), 1.5, -1.5, 0.1, 1e21, 1e20, 1e-6, 1e-7, 123456789.125, math.MaxFloat64,
		-math.MaxFloat64, math.SmallestNonzeroFloat64, math.Pi, 1 << 53, math.MaxFloat32, 2.2250738585072014e-308}
	if c.options.codec != "json" { // Which has no word for these.
		floats = append(floats, math.Inf(1), math.Inf(-1), math.NaN())
	}
	for _, float := range floats {
		values = append(values, testproto.EchoCmd{Float64: float})
	}
	for _, size := range []int{1, 31, 32, 127, 128, 255, 256, 1006, 4095, 4096, 16383, 16384, 65535, 65536} {
		values = append(values, testproto.EchoCmd{String: testproto.Pattern(size)})
	}
	for _, text := range []string{"\x00", "\x01\x1f\x7f", "\"\\/\b\f\n\r\t", "<script>&amp;</script>", "é€😀", "\u2028\u2029", "\ufffd", "\ufeff"} {
		values = append(values, testproto.EchoCmd{Bool: true, Int64: -1, String: text, Float64: 0.5})
	}
	return
}

func (c *checker) echo() error {
	return c.with(func(client *ccln.Client[receiver]) error {
		for _, value := range c.values() {
			if err := expect(client, value, testproto.EchoResult(value)); err != nil {
				return fmt.Errorf("%.100v: %w", value, err)
			}
		}
		return nil
	})
}

func (c *checker) stream() error {
	return c.with(func(client *ccln.Client[receiver]) error {
		for _, shape := range [][2]int64{{0, 5}, {1, 0}, {3, 8}, {1000, 64}, {5000, 1}, {20, 65536}} {
			if err := stream(client, shape[0], shape[1]); err != nil {
				return fmt.Errorf("%v: %w", shape, err)
			}
		}
		return nil
	})
}

func stream(client *ccln.Client[receiver], count, size int64) error {
	results := make(chan core.AsyncResult, max(count, 1))
	if _, _, err := client.Send(testproto.StreamCmd{Count: count, Size: size}, results); err != nil {
		return err
	}
	want := testproto.ItemResult{Last: true, Index: -1, Data: testproto.Pattern(int(size))}
	for index := int64(0); index < max(count, 1); index++ {
		if count > 0 {
			want.Index, want.Last = index, index == count-1
		}
		got, err := next(results)
		if err != nil {
			return err
		}
		if got != core.Result(want) {
			return fmt.Errorf("item %d is %.100v", index, got)
		}
	}
	return nil
}

// sleep: what is asked for later comes first, because it sleeps less; an echo overtakes them all.
func (c *checker) sleep() error {
	return c.with(func(client *ccln.Client[receiver]) error {
		results := make(chan core.AsyncResult, 3)
		values := []testproto.EchoCmd{{Int64: 1, String: "slow", Float64: 1.5}, {Int64: 2, Bool: true}, {Int64: 3, String: "at once"}}
		for i, ms := range []int64{900, 300} {
			v := values[i]
			command := testproto.SleepCmd{Ms: ms, Bool: v.Bool, Int64: v.Int64, String: v.String, Float64: v.Float64}
			if _, _, err := client.Send(command, results); err != nil {
				return err
			}
		}
		if _, _, err := client.Send(values[2], results); err != nil {
			return err
		}
		for _, i := range []int{2, 1, 0} {
			got, err := next(results)
			if err != nil {
				return err
			}
			if !same(got, testproto.EchoResult(values[i])) {
				return fmt.Errorf("%v came where %v was due", got, values[i])
			}
		}
		return nil
	})
}

func (c *checker) work() error {
	return c.with(func(client *ccln.Client[receiver]) error {
		return expect(client, testproto.WorkCmd{Us: 1000}, testproto.EchoResult{})
	})
}

// fail: this connection is closed, and the commands in flight on it end; the server goes on serving others.
func (c *checker) fail() error {
	return c.with(func(other *ccln.Client[receiver]) error {
		client, err := c.dial()
		if err != nil {
			return err
		}
		waiting, failing := make(chan core.AsyncResult, 1), make(chan core.AsyncResult, 1)
		_, _, err = client.Send(testproto.SleepCmd{Ms: 60000}, waiting)
		if err == nil {
			_, _, err = client.Send(testproto.FailCmd{}, failing)
		}
		if err != nil {
			return err
		}
		for _, results := range []chan core.AsyncResult{failing, waiting} {
			if got, err := next(results); err == nil || errors.Is(err, errNoAnswer) {
				return fmt.Errorf("%v, %v in place of a lost connection", got, err)
			}
		}
		select {
		case <-client.Done():
		case <-time.After(answerTime):
			return errors.New("the connection was not closed")
		}
		return expect(other, testproto.EchoCmd{String: "still here"}, testproto.EchoResult{String: "still here"})
	})
}

// info: what is wrong at the last byte only is refused, and what is a byte too short, or too long.
func (c *checker) info() error {
	right := c.options.info
	last := len(right) - 1
	wrong := []string{right[:last] + string(right[last]^1), right[:last]}
	if len(right) < dlgt.DefaultServerInfoMaxLength {
		wrong = append(wrong, right+"?")
	}
	for _, info := range wrong {
		if err := c.mismatch(info); err != nil {
			return err
		}
	}
	return c.with(func(client *ccln.Client[receiver]) error {
		return expect(client, testproto.EchoCmd{Int64: 1}, testproto.EchoResult{Int64: 1})
	})
}

func (c *checker) mismatch(info string) error {
	wrong := *c
	wrong.options.info = info
	client, err := wrong.dial()
	if err == nil {
		_ = client.Close()
		return fmt.Errorf("another ServerInfo of %d bytes was taken", len(info))
	}
	if !errors.Is(err, dcln.ErrServerInfoMismatch) {
		return fmt.Errorf("with another ServerInfo: %w", err)
	}
	return nil
}

func (c *checker) group() error {
	const clients, callers, each = 8, 32, 50
	d, err := newDialer(c.options)
	if err != nil {
		return err
	}
	group, err := d.group(clients)
	if err != nil {
		return err
	}
	defer group.Close()
	var wait sync.WaitGroup
	problems := make(chan error, callers)
	for caller := range callers {
		wait.Add(1)
		go func() {
			defer wait.Done()
			results := make(chan core.AsyncResult, 1)
			for i := range each {
				value := testproto.EchoCmd{Int64: int64(caller*each + i), String: testproto.Pattern(caller * i)}
				_, _, _, err := group.Send(value, results)
				var got core.Result
				if err == nil {
					got, err = next(results)
				}
				if err == nil && !same(got, testproto.EchoResult(value)) {
					err = fmt.Errorf("%.100v came back for %.100v", got, value)
				}
				if err != nil {
					problems <- err
					return
				}
			}
		}()
	}
	wait.Wait()
	select {
	case err = <-problems:
		return err
	default:
		return nil
	}
}

// keepalive: the server closes what is idle. Pings, each of which it answers, keep one connection open while others,
// silent, are closed one after the other.
func (c *checker) keepalive() error {
	const rounds = 3
	var connection *pinging
	alive := *c
	alive.options.pingTime = c.pingTime
	alive.options.wrap = func(conn net.Conn) net.Conn {
		connection = &pinging{Conn: conn}
		return connection
	}
	return alive.with(func(client *ccln.Client[receiver]) error {
		connection.begin()
		for range rounds {
			if err := c.awaitSilentLost(); err != nil {
				return err
			}
		}
		select {
		case <-client.Done():
			return fmt.Errorf("closed in spite of its pings: %w", client.Error())
		default:
		}
		if err := connection.answered(); err != nil {
			return err
		}
		return expect(client, testproto.EchoCmd{String: "after pings"}, testproto.EchoResult{String: "after pings"})
	})
}

func (c *checker) awaitSilentLost() error {
	silent, err := c.dial()
	if err != nil {
		return err
	}
	select {
	case <-silent.Done():
		return nil
	case <-time.After(answerTime):
		return errors.Join(errors.New("an idle connection was not closed"), silent.Close())
	}
}

// reconnect: the server ends and comes back; the same client goes on. A command between the two is lost, and the client
// does not say so when it was written to the old connection after the client had failed what was pending: so each is given
// a short while only, and sent anew.
func (c *checker) reconnect() error {
	again := *c
	again.options.reconnect = true
	return again.with(func(client *ccln.Client[receiver]) error {
		before, after := testproto.EchoCmd{String: "before"}, testproto.EchoCmd{String: "after"}
		if err := expect(client, before, testproto.EchoResult(before)); err != nil {
			return err
		}
		fmt.Println("ready: restart the server")
		if _, err := bufio.NewReader(os.Stdin).ReadString('\n'); err != nil {
			return err
		}
		const attempt = 200 * time.Millisecond
		var err error
		for end := time.Now().Add(answerTime); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
			if err = expectWithin(attempt, client, after, testproto.EchoResult(after)); err == nil {
				return nil
			}
		}
		return err
	})
}

// tls: what a handshake agrees on, and whether the next one resumes it.
func (c *checker) tls() error {
	var connection *tls.Conn
	again := *c
	again.options.wrap = func(conn net.Conn) net.Conn {
		connection, _ = conn.(*tls.Conn)
		return conn
	}
	d, err := newDialer(again.options)
	if err != nil {
		return err
	}
	protocol, _, _ := strings.Cut(c.options.tls.alpn, ",")
	for _, resumes := range []bool{false, c.resumes} {
		client, err := d.dial()
		if err != nil {
			return err
		}
		err = expect(client, testproto.EchoCmd{Int64: 1}, testproto.EchoResult{Int64: 1})
		state := connection.ConnectionState()
		_ = client.Close()
		<-client.Done()
		if err != nil {
			return err
		}
		if state.NegotiatedProtocol != protocol {
			return fmt.Errorf("%q was agreed on, not %q", state.NegotiatedProtocol, protocol)
		}
		if state.DidResume != resumes {
			return fmt.Errorf("resumed: %t, and it should be %t", state.DidResume, resumes)
		}
	}
	return nil
}
