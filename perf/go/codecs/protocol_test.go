// SPDX-License-Identifier: MIT

package codecs

import (
	"bufio"
	"bytes"
	"context"
	"encoding/hex"
	"testing"
	"time"

	msgpack "cmdstream/codecs/msgpack/go"

	cln "github.com/cmd-stream/cmd-stream-go/client"
	"github.com/cmd-stream/cmd-stream-go/core"
	dlgt "github.com/cmd-stream/cmd-stream-go/delegate"
	srv "github.com/cmd-stream/cmd-stream-go/server"
	"github.com/mus-format/mus-stream-go"
)

// The vectors that the description of the protocol quotes, of types with Go's own names for their fields. The C library's
// tests have the same bytes.
type other struct{}

type Echo struct {
	Bool    bool
	Int64   int64
	String  string
	Float64 float64
}

type Two struct{ A, B int64 }

func (Echo) Exec(context.Context, core.Seq, time.Time, other, core.Proxy) error { return nil }
func (Two) Exec(context.Context, core.Seq, time.Time, other, core.Proxy) error  { return nil }

var (
	goEcho      = Echo{true, -5, "hi", 1.5}
	goJSON      = format{append: appendJSON, commands: types{asJSON[Echo](), asJSON[Two]()}}
	goVectors   = []core.Cmd[other]{Echo{}, Two{}}
	echoVector  = "00347b22426f6f6c223a747275652c22496e743634223a2d352c22537472696e67223a226869222c22466c6f61743634223a312e357d"
	twoVector   = "010d7b2241223a332c2242223a347d"
	mapVector   = "003184a4426f6f6cc3a5496e743634d3fffffffffffffffba6537472696e67a26869a7466c6f61743634cb3ff8000000000000"
	arrayVector = "000f94c3fba26869cb3ff8000000000000"
)

func testVector(t *testing.T, client cln.Codec[other], server srv.Codec[other], cmd core.Cmd[other], want string) {
	t.Helper()
	var out bytes.Buffer
	w := bufio.NewWriter(&out)
	if _, err := client.Encode(cmd, w); err != nil || w.Flush() != nil || hex.EncodeToString(out.Bytes()) != want {
		t.Errorf("%v: %x, %v", cmd, out.Bytes(), err)
	}
	got, n, err := server.Decode(bufio.NewReader(bytes.NewReader(out.Bytes())))
	if got != cmd || n != out.Len() || err != nil {
		t.Errorf("%s: %v, %d bytes, %v", want, got, n, err)
	}
}

func TestVectorsOfTheProtocol(t *testing.T) {
	testVector(t, framedClient[other]{&goJSON}, framedServer[other]{&goJSON}, goEcho, echoVector)
	testVector(t, framedClient[other]{&goJSON}, framedServer[other]{&goJSON}, Two{3, 4}, twoVector)
	for want, opts := range map[string][]msgpack.Option{mapVector: {msgpack.WithMaps()}, arrayVector: nil} {
		client, err := msgpack.NewClientCodec(goVectors, nil, opts...)
		if err != nil {
			t.Fatal(err)
		}
		server, err := msgpack.NewServerCodec(goVectors, nil, opts...)
		if err != nil {
			t.Fatal(err)
		}
		testVector(t, client, server, goEcho, want)
	}
}

// Names are matched without regard to case: the same bytes are an echo of ours, whose names are in small letters.
func TestNamesWithoutRegardToCase(t *testing.T) {
	if got, err := read(t, "json", echoVector, true); err != nil || got != any(echo) {
		t.Error(got, err)
	}
}

func testItem[V comparable](t *testing.T, serializer mus.Serializer[V], value V, want string) {
	t.Helper()
	var out bytes.Buffer
	w := bufio.NewWriter(&out)
	if _, err := serializer.Marshal(value, w); err != nil || w.Flush() != nil || hex.EncodeToString(out.Bytes()) != want {
		t.Errorf("%v: %x, %v", value, out.Bytes(), err)
	}
	if got, n, err := serializer.Unmarshal(&out); got != value || n != len(want)/2 || err != nil {
		t.Errorf("%s: %v, %d bytes, %v", want, got, n, err)
	}
}

func TestSequenceNumbers(t *testing.T) {
	for value, want := range map[core.Seq]string{0: "00", 1: "01", 127: "7f", 128: "8001", 16384: "808001",
		1 << 40: "808080808020"} {
		testItem(t, mus.Serializer[core.Seq](core.SeqMUS), value, want)
	}
}

func TestServerInfo(t *testing.T) {
	const want = "0764656661756c74"
	var out bytes.Buffer
	w := bufio.NewWriter(&out)
	if _, err := dlgt.ServerInfoValidMUS.Marshal(dlgt.ServerInfo("default"), w); err != nil || w.Flush() != nil ||
		hex.EncodeToString(out.Bytes()) != want {
		t.Errorf("%x, %v", out.Bytes(), err)
	}
	if got, _, err := dlgt.ServerInfoValidMUS.Unmarshal(&out); string(got) != "default" || err != nil {
		t.Error(got, err)
	}
}
