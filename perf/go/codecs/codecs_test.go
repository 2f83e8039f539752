// SPDX-License-Identifier: MIT

package codecs

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"errors"
	"io"
	"math"
	"strings"
	"testing"

	"cmdstream/perf/go/testproto"

	"github.com/cmd-stream/cmd-stream-go/core"
)

var (
	echo   = testproto.EchoCmd{Bool: true, Int64: -5, String: "hi", Float64: 1.5}
	sleep  = testproto.SleepCmd{Ms: 300, Bool: true, Int64: -5, String: "hi", Float64: 1.5}
	stream = testproto.StreamCmd{Count: 3, Size: 8}
	work   = testproto.WorkCmd{Us: 64}
	item   = testproto.ItemResult{Index: 2, Last: true, Data: "abc"}
)

// The bodies, with the type's number and the length where there is one.
var vectors = []struct {
	codec string
	value any
	bytes string
}{
	{"msgpack", echo, "000f94c3fba26869cb3ff8000000000000"},
	{"msgpack", stream, "0103920308"},
	{"msgpack", sleep, "021295cd012cc3fba26869cb3ff8000000000000"},
	{"msgpack", testproto.FailCmd{}, "030190"},
	{"msgpack", work, "04029140"},
	{"msgpack", item, "01079302c3a3616263"},
	{"msgpack-map", echo, "003184a4626f6f6cc3a5696e743634d3fffffffffffffffba6737472696e67a26869a7666c6f61743634cb3ff8000000000000"},
	{"msgpack-map", testproto.FailCmd{}, "030180"},
	{"json", echo, "0034" + hexOf(`{"bool":true,"int64":-5,"string":"hi","float64":1.5}`)},
	{"json", stream, "0114" + hexOf(`{"count":3,"size":8}`)},
	{"json", testproto.FailCmd{}, "0302" + hexOf(`{}`)},
	{"json", item, "0124" + hexOf(`{"index":2,"last":true,"data":"abc"}`)},
	{"protobuf", echo, "001a" + "0801" + "10fbffffffffffffffff01" + "1a026869" + "21000000000000f83f"},
	{"protobuf", stream, "010408031008"},
	{"protobuf", testproto.FailCmd{}, "0300"},
	{"protobuf", work, "04020840"},
	{"protobuf", item, "0109080210011a03616263"},
	{"mus", echo, "00" + "01" + "09" + "026869" + "000000000000f83f"},
	{"mus", stream, "010610"},
	{"mus", sleep, "02" + "d804" + "01" + "09" + "026869" + "000000000000f83f"},
	{"mus", testproto.FailCmd{}, "03"},
	{"mus", work, "048001"},
	{"mus", item, "01" + "04" + "01" + "03616263"},
}

func hexOf(text string) string { return hex.EncodeToString([]byte(text)) }

func pair(t *testing.T, name string) (client, server) {
	t.Helper()
	c, s, err := New(name)
	if err != nil {
		t.Fatal(err)
	}
	return c, s
}

func write(t *testing.T, name string, value any) string {
	t.Helper()
	c, s := pair(t, name)
	var out bytes.Buffer
	w := bufio.NewWriter(&out)
	var n int
	var err error
	if cmd, ok := value.(core.Cmd[*testproto.Receiver]); ok {
		n, err = c.Encode(cmd, w)
	} else {
		n, err = s.Encode(value.(core.Result), w)
	}
	if err != nil || w.Flush() != nil || n != out.Len() {
		t.Fatalf("%s, %v: %d bytes of %d, %v", name, value, n, out.Len(), err)
	}
	return hex.EncodeToString(out.Bytes())
}

func read(t *testing.T, name, text string, command bool) (value any, err error) {
	t.Helper()
	c, s := pair(t, name)
	data, err := hex.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	r := bufio.NewReader(bytes.NewReader(data))
	var n int
	if command {
		value, n, err = s.Decode(r)
	} else {
		value, n, err = c.Decode(r)
	}
	if err == nil && n != len(data) {
		t.Errorf("%s %s: %d bytes read", name, text, n)
	}
	return
}

func TestVectors(t *testing.T) {
	for _, v := range vectors {
		if got := write(t, v.codec, v.value); got != v.bytes {
			t.Errorf("%s %v: %s", v.codec, v.value, got)
		}
		_, command := v.value.(core.Cmd[*testproto.Receiver])
		if got, err := read(t, v.codec, v.bytes, command); err != nil || got != v.value {
			t.Errorf("%s %s: %v, %v", v.codec, v.bytes, got, err)
		}
	}
}

// The vectors with the Go names of the fields: names are matched without regard to case.
func TestVectorsOfOtherNames(t *testing.T) {
	text := "00347b22426f6f6c223a747275652c22496e743634223a2d352c22537472696e67223a226869222c22466c6f61743634223a312e357d"
	if got, err := read(t, "json", text, true); err != nil || got != any(echo) {
		t.Error(got, err)
	}
}

func TestBordersAreReadAsTheyWereWritten(t *testing.T) {
	for _, name := range Names {
		for _, number := range []int64{0, 1, -1, 63, 64, -64, -65, math.MaxInt64, math.MinInt64} {
			for _, size := range []int{0, 1, 127, 128, 65535, 65536, 100000} {
				value := testproto.EchoResult{Int64: number, String: testproto.Pattern(size), Float64: float64(number) / 3}
				if got, err := read(t, name, write(t, name, value), false); err != nil || got != any(value) {
					t.Errorf("%s: %d, %d bytes: %v", name, number, size, err)
				}
			}
		}
	}
}

func TestWhatIsNotRead(t *testing.T) {
	for _, name := range Names {
		if _, err := read(t, name, "05", true); err == nil {
			t.Error(name, "takes a command that there is not")
		}
		if _, err := read(t, name, "", true); err != io.EOF {
			t.Error(name, err)
		}
		whole := write(t, name, echo)
		for cut := 2; cut < len(whole); cut += 2 {
			if _, err := read(t, name, whole[:cut], true); err == nil {
				t.Error(name, "takes", whole[:cut])
			}
		}
		tooLong := "008180800801"
		if name == "mus" {
			tooLong = "000102" + "81808008" + "01"
		}
		if _, err := read(t, name, tooLong, true); err == nil || errors.Is(err, io.ErrUnexpectedEOF) {
			t.Error(name, "takes a length above the limit:", err)
		}
	}
	if _, _, err := New("xml"); err == nil || !strings.Contains(err.Error(), "xml") {
		t.Error(err)
	}
}
