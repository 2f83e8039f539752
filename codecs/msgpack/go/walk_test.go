// SPDX-License-Identifier: MIT

package msgpack

import (
	"bytes"
	"encoding/hex"
	"errors"
	"io"
	"math"
	"reflect"
	"strings"
	"testing"

	"github.com/vmihailenco/msgpack/v5"
)

func unhex(t *testing.T, text string) []byte {
	t.Helper()
	data, err := hex.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// One of each kind of item, at both ends of what its head may say, as another encoder writes it.
func items(t *testing.T) map[string][]byte {
	t.Helper()
	values := []any{nil, true, false, 1, -1, uint8(200), uint16(1), uint32(1), uint64(math.MaxUint64), int8(-100), int16(-1),
		int32(-1), int64(math.MinInt64), float32(1.5), 1.5, "", strings.Repeat("s", 31), strings.Repeat("s", 32),
		strings.Repeat("s", 255), strings.Repeat("s", 256), strings.Repeat("s", 70000), []byte{}, make([]byte, 300),
		make([]byte, 70000), []int{}, make([]int, 15), make([]int, 16), make([]int, 70000), map[string]int{},
		map[string]any{"a": []any{1, "b", nil, map[string]int{"c": 300}}, "d": 2.5}}
	all := map[string][]byte{}
	for _, value := range values {
		data, err := msgpack.Marshal(value)
		if err != nil {
			t.Fatal(err)
		}
		all[reflect.TypeOf(&value).String()+hex.EncodeToString(data[:min(len(data), 8)])] = data
	}
	for _, text := range []string{"d40100", "d5010000", "d60100000000", "d7010000000000000000", "d801" + strings.Repeat("00", 16),
		"c70001", "c7020100ff", "c800020100ff", "c9000000020100ff", "dd00000002c0c0", "de0001a161c0", "df00000001a161c0"} {
		all[text] = unhex(t, text)
	}
	return all
}

func TestSizeOfAValue(t *testing.T) {
	for name, data := range items(t) {
		if size, err := valueSize(data); size != len(data) || err != nil {
			t.Errorf("%s: %d bytes of %d, %v", name, size, len(data), err)
		}
		if size, err := valueSize(append(bytes.Clone(data), 0xc1)); size != len(data) || err != nil {
			t.Errorf("%s, and one more: %d bytes of %d, %v", name, size, len(data), err)
		}
		for cut := 0; cut < len(data); cut += 1 + len(data)/100 {
			if size, err := valueSize(data[:cut]); !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Errorf("%s, %d bytes of %d: %d, %v", name, cut, len(data), size, err)
			}
		}
	}
	if _, err := valueSize([]byte{0x91, 0xc1}); err == nil {
		t.Error("0xc1 begins no value")
	}
}

// What announces 4 Gi of something is refused before anybody makes room for it.
func TestLengthsWithoutBytes(t *testing.T) {
	for _, text := range []string{"c6ffffffff", "dbffffffff", "ddffffffff", "dfffffffff", "c9ffffffff00", "dfffffffffa161c0",
		"91dd7fffffff", "92dcffff"} {
		if size, err := valueSize(unhex(t, text)); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Error(text, size, err)
		}
	}
}

func TestDepth(t *testing.T) {
	for _, head := range []string{"\x91", "\x81\xa1k", "\xdc\x00\x01", "\xdd\x00\x00\x00\x01", "\xdf\x00\x00\x00\x01\xc0"} {
		for _, leaf := range []string{"\x90", "\x80"} {
			deepest := strings.Repeat(head, DepthMax-1) + leaf
			if size, err := valueSize([]byte(deepest)); size != len(deepest) || err != nil {
				t.Errorf("%x: %d of %d, %v", head, size, len(deepest), err)
			}
			if _, err := valueSize([]byte(head + deepest)); !errors.Is(err, ErrTooDeep) {
				t.Errorf("%x, one more: %v", head, err)
			}
		}
	}
	// Beside each other is not inside each other.
	beside := "\xdc\x03\xe8" + strings.Repeat(strings.Repeat("\x91", DepthMax-2)+"\x90", 1000)
	if size, err := valueSize([]byte(beside)); size != len(beside) || err != nil {
		t.Error(size, err)
	}
}

// 12 MiB of array heads, where the decoder knows no field and skips, where it knows one, and where it takes anything: each
// would overflow the stack, which ends the process.
func TestBombs(t *testing.T) {
	heads := strings.Repeat("\x91", 12<<20)
	_, codec := codecs(t)
	for name, body := range map[string]string{
		"a field that there is not": "\x81\xa1z" + heads,
		"a field that there is":     "\x81\xa5Int64" + heads,
		"the fifth of four":         "\x95\xc3\xfb\xa0\x00" + heads,
		"nothing else":              heads,
	} {
		if _, err := read(framed(hex.EncodeToString([]byte(body))), codec); !errors.Is(err, ErrTooDeep) {
			t.Error(name, err)
		}
	}
	for _, into := range []any{[]any{}, map[string]any{}, chain{}} {
		one := listed{structure: reflect.TypeOf(into), fields: -1}
		if _, err := one.read([]byte("\x81\xa4Next" + heads)); !errors.Is(err, ErrTooDeep) {
			t.Errorf("%T: %v", into, err)
		}
	}
}

type chain struct{ Next *chain }

func FuzzRead(f *testing.F) {
	for _, text := range []string{arrayVector, mapVector, "000281a17a", "000391919190", "0005ddffffffff"} {
		data, err := hex.DecodeString(text)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		_, codec := codecs(t)
		_, _ = read(hex.EncodeToString(data), codec)
	})
}

func BenchmarkRead(b *testing.B) {
	var body bytes.Buffer
	encoder := msgpack.NewEncoder(&body)
	encoder.UseArrayEncodedStructs(true)
	if err := encoder.Encode(echo{true, -5, strings.Repeat("x", 503), 1.5}); err != nil {
		b.Fatal(err)
	}
	one := listed{structure: reflect.TypeOf(echo{}), fields: 4}
	b.Run("walk", func(b *testing.B) {
		for range b.N {
			_, _ = valueSize(body.Bytes())
		}
	})
	b.Run("whole", func(b *testing.B) {
		b.ReportAllocs()
		for range b.N {
			_, _ = one.read(body.Bytes())
		}
	})
}
