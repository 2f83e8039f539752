// SPDX-License-Identifier: MIT

package codecs

import (
	"bufio"
	"bytes"
	"encoding/binary"
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
	stream = testproto.StreamCmd{Count: 3, Size: 8}
	sleep  = testproto.SleepCmd{Ms: 300, Bool: true, Int64: -5, String: "hi", Float64: 1.5}
	fail   = testproto.FailCmd{}
	work   = testproto.WorkCmd{Us: 64}
	echoed = testproto.EchoResult(echo)
	item   = testproto.ItemResult{Index: 2, Last: true, Data: "abc"}
)

// All types in all codecs: the body, and before it the type's number and the length where there is one.
var vectors = []struct {
	codec string
	value any
	bytes string
}{
	{"msgpack", echo, "000f94c3fba26869cb3ff8000000000000"},
	{"msgpack", stream, "0103920308"},
	{"msgpack", sleep, "021295cd012cc3fba26869cb3ff8000000000000"},
	{"msgpack", fail, "030190"},
	{"msgpack", work, "04029140"},
	{"msgpack", echoed, "000f94c3fba26869cb3ff8000000000000"},
	{"msgpack", item, "01079302c3a3616263"},
	{"msgpack-map", echo, "0031" + mapEcho("84")},
	{"msgpack-map", stream, "011e" + "82" + "a5636f756e74d30000000000000003" + "a473697a65d30000000000000008"},
	{"msgpack-map", sleep, "023d" + mapEcho("85a26d73d3000000000000012c")},
	{"msgpack-map", fail, "030180"},
	{"msgpack-map", work, "040d" + "81a27573d30000000000000040"},
	{"msgpack-map", echoed, "0031" + mapEcho("84")},
	{"msgpack-map", item, "011f" + "83a5696e646578d30000000000000002" + "a46c617374c3" + "a464617461a3616263"},
	{"json", echo, "0034" + hexOf(`{"bool":true,"int64":-5,"string":"hi","float64":1.5}`)},
	{"json", stream, "0114" + hexOf(`{"count":3,"size":8}`)},
	{"json", sleep, "023d" + hexOf(`{"ms":300,"bool":true,"int64":-5,"string":"hi","float64":1.5}`)},
	{"json", fail, "0302" + hexOf(`{}`)},
	{"json", work, "0409" + hexOf(`{"us":64}`)},
	{"json", echoed, "0034" + hexOf(`{"bool":true,"int64":-5,"string":"hi","float64":1.5}`)},
	{"json", item, "0124" + hexOf(`{"index":2,"last":true,"data":"abc"}`)},
	{"protobuf", echo, "001a" + "0801" + "10fbffffffffffffffff01" + "1a026869" + "21000000000000f83f"},
	{"protobuf", stream, "010408031008"},
	{"protobuf", sleep, "021d" + "08ac02" + "1001" + "18fbffffffffffffffff01" + "22026869" + "29000000000000f83f"},
	{"protobuf", fail, "0300"},
	{"protobuf", work, "04020840"},
	{"protobuf", echoed, "001a" + "0801" + "10fbffffffffffffffff01" + "1a026869" + "21000000000000f83f"},
	{"protobuf", item, "0109080210011a03616263"},
	{"mus", echo, "00" + "01" + "09" + "026869" + "000000000000f83f"},
	{"mus", stream, "010610"},
	{"mus", sleep, "02" + "d804" + "01" + "09" + "026869" + "000000000000f83f"},
	{"mus", fail, "03"},
	{"mus", work, "048001"},
	{"mus", echoed, "00" + "01" + "09" + "026869" + "000000000000f83f"},
	{"mus", item, "01" + "04" + "01" + "03616263"},
}

func mapEcho(begin string) string {
	return begin + "a4626f6f6cc3" + "a5696e743634d3fffffffffffffffb" + "a6737472696e67a26869" + "a7666c6f61743634cb3ff8000000000000"
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

func TestAllTypesHaveAVector(t *testing.T) {
	if want := len(Names) * (len(testproto.Commands) + len(testproto.Results)); len(vectors) != want {
		t.Error(len(vectors), want)
	}
}

// At each size around those where the length takes one byte more.
func TestBodySize(t *testing.T) {
	for _, name := range Names {
		for _, border := range []int{75, 1<<14 - 60} {
			for size := border - 75; size < border+75; size++ {
				testBodySize(t, name, testproto.ItemResult{Data: testproto.Pattern(size)})
			}
		}
	}
}

func testBodySize(t *testing.T, name string, value testproto.ItemResult) {
	t.Helper()
	frame, err := hex.DecodeString(write(t, name, value))
	if err != nil {
		t.Fatal(err)
	}
	body := len(frame) - 1
	if name != "mus" {
		length, _ := binary.Uvarint(frame[1:])
		body = int(length)
	}
	for _, sequence := range []uint64{1, 127, 128, 1 << 40} {
		if got := BodySize(name, sequence, varintSize(sequence)+len(frame)); got != body {
			t.Errorf("%s: %d in place of %d", name, got, body)
		}
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
