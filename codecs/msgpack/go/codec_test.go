// SPDX-License-Identifier: MIT

package msgpack

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"io"
	"math"
	"net"
	"reflect"
	"strings"
	"testing"
	"time"

	cmdstream "github.com/cmd-stream/cmd-stream-go"
	"github.com/cmd-stream/cmd-stream-go/core"
	"github.com/vmihailenco/msgpack/v5"
)

type receiver struct{}

type echo struct {
	Bool    bool
	Int64   int64
	String  string
	Float64 float64
}

func (c echo) Exec(_ context.Context, seq core.Seq, _ time.Time, _ receiver, proxy core.Proxy) error {
	_, err := proxy.Send(seq, echoed(c))
	return err
}

type two struct{ A, B int }

func (c *two) Exec(_ context.Context, seq core.Seq, _ time.Time, _ receiver, proxy core.Proxy) error {
	_, err := proxy.Send(seq, &sum{c.A + c.B})
	return err
}

type stop struct{}

func (stop) Exec(context.Context, core.Seq, time.Time, receiver, core.Proxy) error {
	return errors.New("stop was asked for")
}

type echoed echo

func (echoed) LastOne() bool { return true }

type sum struct{ Sum int }

func (*sum) LastOne() bool { return true }

var (
	commands = []core.Cmd[receiver]{echo{}, &two{}, stop{}}
	results  = []core.Result{echoed{}, &sum{}}
	value    = echo{true, -5, "hi", 1.5}
)

const (
	arrayVector = "000f94c3fba26869cb3ff8000000000000"
	mapVector   = "003184a4426f6f6cc3a5496e743634d3fffffffffffffffba6537472696e67a26869a7466c6f61743634cb3ff8000000000000"
)

func codecs(t *testing.T, opts ...Option) (ClientCodec[receiver], ServerCodec[receiver]) {
	t.Helper()
	client, err := NewClientCodec(commands, results, opts...)
	if err != nil {
		t.Fatal(err)
	}
	server, err := NewServerCodec(commands, results, opts...)
	if err != nil {
		t.Fatal(err)
	}
	return client, server
}

func written(t *testing.T, codec ClientCodec[receiver], cmd core.Cmd[receiver]) string {
	t.Helper()
	var out bytes.Buffer
	w := bufio.NewWriter(&out)
	n, err := codec.Encode(cmd, w)
	if err != nil || w.Flush() != nil || n != out.Len() {
		t.Fatalf("%d bytes of %d, %v", n, out.Len(), err)
	}
	return hex.EncodeToString(out.Bytes())
}

func read(text string, codec ServerCodec[receiver]) (core.Cmd[receiver], error) {
	data, err := hex.DecodeString(text)
	if err != nil {
		return nil, err
	}
	cmd, n, err := codec.Decode(bufio.NewReader(bytes.NewReader(data)))
	if err == nil && n != len(data) {
		err = errors.New("the count of bytes is wrong")
	}
	return cmd, err
}

func TestVectorsAreWritten(t *testing.T) {
	arrays, _ := codecs(t)
	maps, _ := codecs(t, WithMaps())
	if got := written(t, arrays, value); got != arrayVector {
		t.Error(got)
	}
	if got := written(t, maps, value); got != mapVector {
		t.Error(got)
	}
	if got := written(t, arrays, &two{3, 4}); got != "0103920304" {
		t.Error(got)
	}
}

func TestBothFormsAreReadByBothCodecs(t *testing.T) {
	_, arrays := codecs(t)
	_, maps := codecs(t, WithMaps())
	for _, text := range []string{arrayVector, mapVector,
		"002984a4426f6f6cc3a5496e743634fba6537472696e67a26869a7466c6f61743634cb3ff8000000000000"} {
		for _, codec := range []ServerCodec[receiver]{arrays, maps} {
			if cmd, err := read(text, codec); err != nil || cmd != core.Cmd[receiver](value) {
				t.Error(text, cmd, err)
			}
		}
	}
}

// With type 0 and the length before it.
func framed(body string) string {
	return "00" + hex.EncodeToString(binary.AppendUvarint(nil, uint64(len(body)/2))) + body
}

func TestFieldsMayBeMissingOrMore(t *testing.T) {
	_, codec := codecs(t)
	for body, want := range map[string]echo{
		"90":                                     {},
		"80":                                     {},
		"92c3fb":                                 {Bool: true, Int64: -5},
		"dc0002c3fb":                             {Bool: true, Int64: -5},
		"dd00000002c3fb":                         {Bool: true, Int64: -5},
		"95c3fba26869cb3ff800000000000093010203": value,
		"84a4426f6f6cc3a5496e743634fba44d6f726593010203a6537472696e67a0": {Bool: true, Int64: -5},
	} {
		if cmd, err := read(framed(body), codec); err != nil || cmd != core.Cmd[receiver](want) {
			t.Error(body, cmd, err)
		}
	}
	for _, text := range []string{"020190", "020180", "0202" + "9101", "0204" + "81a16101"} {
		if cmd, err := read(text, codec); err != nil || cmd != core.Cmd[receiver](stop{}) {
			t.Error(text, cmd, err)
		}
	}
	for _, body := range []string{"5a", "a26869", "93c3fb", "95c3fba26869", "85c0"} {
		if cmd, err := read(framed(body), codec); err == nil {
			t.Error("read:", body, cmd)
		}
	}
}

// A type that writes itself: nil, or a list of any length.
type list struct{ echoed }

func (l list) EncodeMsgpack(e *msgpack.Encoder) error {
	if l.Int64 == 0 {
		return e.EncodeNil()
	}
	return e.Encode(make([]int, l.Int64))
}

func (l *list) DecodeMsgpack(d *msgpack.Decoder) (err error) {
	count, err := d.DecodeArrayLen()
	for l.Int64 = 0; err == nil && l.Int64 < int64(count); l.Int64++ {
		err = d.Skip()
	}
	return
}

func TestTypesThatWriteThemselvesAreLeftAlone(t *testing.T) {
	server, err := NewServerCodec[receiver](nil, []core.Result{list{}})
	if err != nil {
		t.Fatal(err)
	}
	client, err := NewClientCodec[receiver](nil, []core.Result{list{}})
	if err != nil {
		t.Fatal(err)
	}
	for count := range int64(4) {
		var out bytes.Buffer
		w := bufio.NewWriter(&out)
		want := list{echoed{Int64: count}}
		if _, err = server.Encode(want, w); err != nil || w.Flush() != nil {
			t.Fatal(err)
		}
		if got, _, err := client.Decode(&out); err != nil || got != core.Result(want) {
			t.Error(count, got, err)
		}
	}
}

func TestLimits(t *testing.T) {
	client, server := codecs(t, WithMaxLen(32))
	long := echo{String: strings.Repeat("x", 33)}
	var out bytes.Buffer
	w := bufio.NewWriter(&out)
	if n, err := client.Encode(long, w); !errors.Is(err, ErrTooLarge) || n != 0 || w.Buffered() != 0 {
		t.Error(n, err, w.Buffered())
	}
	if _, err := read("0021", server); !errors.Is(err, ErrTooLarge) {
		t.Error(err)
	}
	_, byDefault := codecs(t)
	if _, err := read("0081808008", byDefault); !errors.Is(err, ErrTooLarge) { // 16 MiB + 1.
		t.Error(err)
	}
	if _, err := read("0080808008", byDefault); !errors.Is(err, io.ErrUnexpectedEOF) { // 16 MiB, which do not come.
		t.Error(err)
	}
}

func TestWhatIsNotRead(t *testing.T) {
	_, codec := codecs(t)
	for text, want := range map[string]error{
		"":                                     io.EOF,
		"03":                                   ErrUnknownType,
		"0005":                                 io.ErrUnexpectedEOF,
		"000494c3fba2":                         io.ErrUnexpectedEOF,
		"001094c3fba26869cb3ff800000000000000": ErrTrailing,
	} {
		if cmd, err := read(text, codec); !errors.Is(err, want) {
			t.Errorf("%q: %v, %v", text, cmd, err)
		}
	}
}

func TestWhatIsNotWritten(t *testing.T) {
	client, err := NewClientCodec(commands[:1], results)
	if err != nil {
		t.Fatal(err)
	}
	if _, err = client.Encode(&two{}, bufio.NewWriter(io.Discard)); !errors.Is(err, ErrUnknownType) {
		t.Error(err)
	}
	if _, err = NewClientCodec([]core.Cmd[receiver]{echo{}, echo{}}, results); err == nil {
		t.Error("a type stands twice")
	}
	if _, err = NewClientCodec([]core.Cmd[receiver]{nil}, results); err == nil {
		t.Error("nil is no type")
	}
}

func TestOverAConnection(t *testing.T) {
	for name, opts := range map[string][]Option{"arrays": nil, "maps": {WithMaps()}} {
		t.Run(name, func(t *testing.T) {
			clientCodec, serverCodec := codecs(t, opts...)
			listener, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			server, err := cmdstream.NewServer(receiver{}, serverCodec)
			if err != nil {
				t.Fatal(err)
			}
			ended := make(chan error, 1)
			go func() { ended <- server.Serve(listener.(*net.TCPListener)) }()
			sender, err := cmdstream.NewSender(listener.Addr().String(), clientCodec)
			if err != nil {
				t.Fatal(err)
			}
			for _, number := range []int64{0, 1, -1, 127, 128, -32, -33, math.MaxInt64, math.MinInt64} {
				want := echo{number&1 == 0, number, strings.Repeat("é", int(number&0xfff)), float64(number) / 3}
				result, err := sender.Send(context.Background(), want)
				if err != nil || !reflect.DeepEqual(result, echoed(want)) {
					t.Errorf("%d: %v", number, err)
				}
			}
			result, err := sender.Send(context.Background(), &two{3, 4})
			if err != nil || result.(*sum).Sum != 7 {
				t.Error(result, err)
			}
			_ = sender.Close()
			_ = server.Close()
			<-ended
		})
	}
}
