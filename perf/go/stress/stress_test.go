// SPDX-License-Identifier: MIT

package stress

import (
	"context"
	"net"
	"os"
	"testing"
	"time"

	"github.com/cmd-stream/cmd-stream-go/core"
)

// The same numbers as in tests/unit/test_tool_stress.c.
func TestTextsAreThoseOfEveryLanguage(t *testing.T) {
	if got, want := Text(7, 1, 0, 20), "F=RIn`mnnjTP\\P_b_[]X"; got != want {
		t.Errorf("the text is %q, not %q", got, want)
	}
	if got := random(1, 2, 3); got != 0xd0734750fde362b3 {
		t.Errorf("the number is %#x", got)
	}
	if got := ItemSize(7, 1, 2, 256); got != 125 {
		t.Errorf("the size is %d", got)
	}
}

func plainListen(address string) (core.Listener, error) {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return nil, err
	}
	return listener.(*net.TCPListener), nil
}

func plainDial(address string) (net.Conn, error) { return net.Dial("tcp", address) }

// A server that restarts, clients that come back, and nothing is wrong.
func TestBothSides(t *testing.T) {
	for _, codec := range []string{"json", "msgpack"} {
		address, err := holdPort("127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		stop, ended := make(chan os.Signal, 1), make(chan error, 1)
		go func() {
			ended <- Serve(ServerOptions{Address: address, Codec: codec, UpMax: 400 * time.Millisecond,
				DownMax: 50 * time.Millisecond, Listen: plainListen}, "test", stop)
		}()
		counts, err := Run(ClientOptions{Address: address, Codec: codec, Seed: 1, Duration: time.Second, Sessions: 8, Clients: 2,
			Dial: plainDial})
		stop <- os.Interrupt
		if err != nil {
			t.Fatal(err)
		}
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if counts.Wrong.Load() != 0 || counts.Echo.Load() == 0 || counts.Stream.Load() == 0 {
			text, _ := counts.MarshalJSON()
			t.Errorf("%s: %s", codec, text)
		}
	}
}

// What is wrong is seen.
func TestLate(t *testing.T) {
	s := &stresser{options: ClientOptions{Seed: 7}}
	text := Text(7, 3, 0, 30)
	if err := s.lookAtLate(EchoResult{3, text}); err != nil {
		t.Error(err)
	}
	if s.lookAtLate(EchoResult{4, text}) == nil || s.lookAtLate(ItemResult{3, 1, true, text}) == nil || s.lookAtLate(nil) == nil {
		t.Error("a wrong text was taken")
	}
}

type stuckProxy struct{ core.Proxy }

func (stuckProxy) Send(core.Seq, core.Result) (int, error) { return 0, nil }

func TestADelayEndsWithItsConnection(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if (StreamCmd{Count: 1, DelayMs: 600000}).Exec(ctx, 1, time.Time{}, Receiver{}, stuckProxy{}) == nil {
		t.Error("it went on")
	}
}
