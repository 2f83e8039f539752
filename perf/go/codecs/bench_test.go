// SPDX-License-Identifier: MIT

package codecs

import (
	"bufio"
	"bytes"
	"io"
	"testing"

	"cmdstream/perf/go/testproto"
)

// One echo of the load's mean size, written as a command and read back as a server does.
func BenchmarkEcho(b *testing.B) {
	value := testproto.EchoCmd{Bool: true, Int64: 12345, String: testproto.Pattern(503), Float64: 6172.5}
	for _, name := range Names {
		client, server, err := New(name)
		if err != nil {
			b.Fatal(err)
		}
		var frame bytes.Buffer
		w := bufio.NewWriter(&frame)
		if _, err = client.Encode(value, w); err != nil || w.Flush() != nil {
			b.Fatal(err)
		}
		b.Run(name+"/write", func(b *testing.B) {
			b.ReportAllocs()
			w := bufio.NewWriter(io.Discard)
			for range b.N {
				_, _ = client.Encode(value, w)
			}
		})
		b.Run(name+"/read", func(b *testing.B) {
			b.ReportAllocs()
			from := bytes.NewReader(frame.Bytes())
			r := bufio.NewReader(from)
			for range b.N {
				from.Reset(frame.Bytes())
				r.Reset(from)
				_, _, _ = server.Decode(r)
			}
		})
	}
}
